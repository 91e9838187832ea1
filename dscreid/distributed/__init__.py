"""Run several processes as one: start them, exchange objects, wait, and end together."""

from dscreid.distributed.exchange import from_main_process, gather_objects, wait_for_all
from dscreid.distributed.launch import process_group

__all__ = ['from_main_process', 'gather_objects', 'process_group', 'wait_for_all']
