"""Kinematics of walking: 3D joints over a gait cycle, and their projection into the frame."""

from enum import IntEnum

import numpy as np

from dscreid.lab.synthetic.identity import Body, Gait


class Joint(IntEnum):
    """Rows of a skeleton. Left is the walker's left, on the right of the frame if the walker faces the camera."""

    HIP_L, HIP_R, KNEE_L, KNEE_R, ANKLE_L, ANKLE_R, TOE_L, TOE_R = range(8)
    SHOULDER_L, SHOULDER_R, ELBOW_L, ELBOW_R, HAND_L, HAND_R = range(8, 14)
    PELVIS, NECK, HEAD, FACE = range(14, 18)


TORSO = 0.31
HEAD_RISE = 0.115
FOOT = 0.085


def skeletons(body: Body, gait: Gait, phases: np.ndarray) -> np.ndarray:
    """Pose a walker at ``phases`` (float[T], radians) of the gait cycle.

    Returns:
        float64[T, 18, 3]. Rows are ``Joint``, columns are forward, left and up in body heights. The lower foot is at
        up = 0, the pelvis above the origin.
    """
    phases = np.asarray(phases, dtype=np.float64)
    joints = np.zeros((len(phases), len(Joint), 3))
    sides = (phases, phases + np.pi)
    for side, own_phases in enumerate(sides):
        _place_leg(joints, side, body, gait, own_phases)
    # The lower foot carries the body, so the hips rise and fall twice per cycle.
    lowest = joints[:, (Joint.ANKLE_L, Joint.ANKLE_R), 2].min(axis=1)
    hips = 0.025 - lowest + gait.bounce * np.cos(2 * phases)
    joints[:, : Joint.TOE_R + 1, 2] += hips[:, None]
    joints[:, Joint.PELVIS, 2] = hips
    _place_trunk(joints, body, gait, phases)
    for side, own_phases in enumerate(sides):
        _place_arm(joints, side, body, gait, own_phases)
    return joints


def _place_leg(joints: np.ndarray, side: int, body: Body, gait: Gait, phases: np.ndarray) -> None:
    """Write hip, knee, ankle and toe of one side, relative to the height of the hips."""
    thigh = gait.stride * np.sin(phases) + 0.06
    shin = thigh - 0.08 - gait.knee * np.clip(np.cos(phases - 0.25), 0, None)
    hip = np.array((0.0, (1 - 2 * side) * body.hip, 0.0))
    knee = hip + body.leg / 2 * _swung(thigh)
    ankle = knee + body.leg / 2 * _swung(shin)
    pitch = 0.55 * np.minimum(shin, 0) - 0.1
    toe = ankle + FOOT * np.stack((np.cos(pitch), np.zeros_like(pitch), np.sin(pitch)), axis=1)
    for joint, point in zip(range(Joint.HIP_L, Joint.TOE_R, 2), (hip, knee, ankle, toe), strict=True):
        joints[:, joint + side] = point


def _place_trunk(joints: np.ndarray, body: Body, gait: Gait, phases: np.ndarray) -> None:
    """Write neck, shoulders, head and face. The trunk leans forward and sways sideways."""
    direction = np.array((np.sin(gait.lean), 0.0, np.cos(gait.lean)))
    neck = joints[:, Joint.PELVIS] + (TORSO + 0.04) * direction
    neck[:, 1] += gait.sway * np.sin(phases)
    # The shoulders rotate against the hips.
    twist = -0.35 * gait.arm_swing * np.sin(phases)
    for side, sign in ((0, 1), (1, -1)):
        shoulder = neck - 0.035 * direction
        shoulder[:, 0] += -sign * body.shoulder * np.sin(twist)
        shoulder[:, 1] += sign * body.shoulder * np.cos(twist)
        joints[:, Joint.SHOULDER_L + side] = shoulder
    joints[:, Joint.NECK] = neck
    head = neck + HEAD_RISE * body.head * direction * (0.9, 1, 1)
    joints[:, Joint.HEAD] = head
    joints[:, Joint.FACE] = head + np.array((0.045 * body.head, 0, -0.012))


def _place_arm(joints: np.ndarray, side: int, body: Body, gait: Gait, phases: np.ndarray) -> None:
    """Write elbow and hand of one side. The arm swings opposite to the leg on the same side."""
    swing = -gait.arm_swing * np.sin(phases) + 0.05 + gait.lean
    flexion = gait.elbow + 0.5 * gait.arm_swing * np.clip(-np.sin(phases), 0, None)
    sign = 1 - 2 * side
    elbow = joints[:, Joint.SHOULDER_L + side] + body.arm / 2 * _swung(swing)
    elbow[:, 1] += sign * (0.012 + 0.5 * gait.splay)
    hand = elbow + body.arm / 2 * _swung(swing + flexion)
    hand[:, 1] += sign * 0.5 * gait.splay
    joints[:, Joint.ELBOW_L + side] = elbow
    joints[:, Joint.HAND_L + side] = hand


def _swung(angle: np.ndarray) -> np.ndarray:
    """Return unit vectors, float64[T, 3], that hang down and are swung forward by ``angle``."""
    return np.stack((np.sin(angle), np.zeros_like(angle), -np.cos(angle)), axis=1)


def project(points: np.ndarray, azimuth: float, elevation: float) -> np.ndarray:
    """Project points, float[..., 3] (forward, left, up), orthographically along the viewing direction.

    An azimuth of 0 faces the walker, pi/2 sees the walker move to the right; both angles are in radians. Returns
    float64[..., 3]: right, down and depth toward the camera, in body heights.
    """
    sin_a, cos_a, sin_e, cos_e = np.sin(azimuth), np.cos(azimuth), np.sin(elevation), np.cos(elevation)
    matrix = np.array(
        ((sin_a, cos_a, 0.0), (cos_a * sin_e, -sin_a * sin_e, -cos_e), (cos_a * cos_e, -sin_a * cos_e, sin_e))
    )
    return points @ matrix.T
