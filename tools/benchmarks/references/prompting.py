"""Spatio-temporal prompting as it is written without care for speed: whole blocks of open_clip, PyTorch's attention."""

import torch

from dscreid.models.backbones.spatio_temporal_prompting import SpatioTemporalPrompting, swap_frame_and_prompt


class EagerPrompting(SpatioTemporalPrompting):
    """The same parameters; every block computes all of its tokens."""

    def forward(self, inputs):
        """Static and dynamic features of float (N, T, 3, H, W), each (N, D)."""
        num_tracklets, num_frames = inputs.shape[:2]
        tokens = self.tower.embed(inputs.flatten(0, 1))
        for block in self.tower.blocks[: self.start_layer]:
            tokens = block(tokens)
        length = tokens.shape[1]
        prompts = self.prompt_embedding.to(tokens.dtype).repeat(num_tracklets, 1, 1)
        for block in self.tower.blocks[self.start_layer :]:
            tokens = block(torch.cat([tokens[:, :length], prompts], dim=1))
            prompts = swap_frame_and_prompt(tokens[:, length:], num_frames)
        class_tokens = tokens[:, 0].unflatten(0, (num_tracklets, num_frames))
        prompts = prompts.reshape(num_tracklets, num_frames**2, -1)
        gathered, _ = self.attn(class_tokens, prompts, prompts, need_weights=False)
        return self._pool(class_tokens), self._pool(gathered)
