"""``model.h``: what a board calls, what comes out, and how it makes what goes in."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from ecotf.export.c99.constants import comment_of, number, text_of
from ecotf.export.c99.source import Source
from ecotf.features.peaks import MEASURES
from ecotf.features.spectrogram import BandSpectrogramConfig


def header(source: Source, values: Mapping[str, Any], config: BandSpectrogramConfig) -> str:
    """Write the header of a translated model; ``values`` is its ``model.json``, ``config`` its spectrogram."""
    patches = values["patches"]
    labels = ["not a call", *values["species"]]
    thresholds = [values["thresholds"]["call"], *(values["thresholds"][name] for name in values["species"])]
    given = ", const float *measures" if source.measured else ""
    measures = f"#define MODEL_MEASURES {len(MEASURES)}\n" if source.measured else ""
    places, start = [], 0
    for name, size, _ in source.answers:
        places.append(comment_of(f"{name} from {start}"))
        start += size
    return f"""\
{_comment(values, config, source)}
#ifndef ECOTF_MODEL_H
#define ECOTF_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define MODEL_COLUMNS {patches["columns"]}
#define MODEL_BANDS {patches["bands"]}
#define MODEL_PATCH {source.patch} /* columns * bands */
{measures}#define MODEL_SCORES {source.n_scores}
#define MODEL_ANSWERS {start} /* {", ".join(places)} */
#define MODEL_MARGINS {source.n_margins}
#define MODEL_SAMPLE_RATE_HZ {values["sample_rate_hz"]}

/* Label of each score. The first is the score of "not a call". */
static const char *const model_labels[MODEL_SCORES] = {{
{_lines(text_of(label) for label in labels)}}};

/* A call is one whose 1 - scores[0] reaches the first; it has a species' name where scores[i] reaches threshold i. */
static const float model_thresholds[MODEL_SCORES] = {{
{_lines(number(value) for value in thresholds)}}};

/* patch [columns][bands] to scores. It uses static memory: not for two at a time. No NaN may go in. */
void model_score(const float *patch{given}, float *scores);

/* What the network gave in the last call, and the margins of its trees (NULL without trees). */
const float *model_answers(void);
const float *model_margins(void);

#ifdef __cplusplus
}}
#endif
#endif
"""


def _comment(values: Mapping[str, Any], config: BandSpectrogramConfig, source: Source) -> str:
    lines = [
        f"{values['name']}, run {values['run']} ({values['run_checksum'][:12]}), made {values['created']}.",
        "EXPERIMENTAL: no board has run it.",
        f"Licence: {' '.join(values['licence'].split())}",
        "",
        "The front end is not in here: the board must make the spectrogram itself, like this.",
        *_steps(values, config),
        "All times are real time. What happens to what is found (thresholds, pauses, boxes) is for the board, too.",
    ]
    if source.measured:
        lines += [
            "",
            "The trees also look at the measures of the peak, in this order; ecotf/features/peaks.py defines them:",
            *(f"  {index} {name}" for index, name in enumerate(MEASURES)),
        ]
    folded = (part for line in lines for part in (wrap(line, 112, subsequent_indent="   ") or [""]))
    return "\n".join(["/*", *(f" * {comment_of(part)}".rstrip() for part in folded), " */"])


def _steps(values: Mapping[str, Any], config: BandSpectrogramConfig) -> list[str]:
    front, patches = values["front_end"], values["patches"]
    rate = values["sample_rate_hz"]
    unit = "2 / (rate * sum(window^2)) * |X|^2" if config.power == "density" else "|X|^2"
    scale = {
        "log1p": "ln(1 + P)",
        "db": f"10 log10(max(P, 10^({config.floor_db:g}/10)))",
        "ln": f"ln(max(P, 10^({config.floor_db:g}/10)))",
        "power": "P itself",
        "pcen": f"per-channel energy normalisation ({config.pcen})",
    }[config.scale]
    frequencies = front["frequencies_hz"]
    steps = [
        f"Sound: one channel at {rate} Hz, samples in [-1, 1) (16 bit: sample / 32768), times {config.gain:.9g}.",
        f"Frame i: samples i * {front['hop']} to i * {front['hop']} + {front['n_window']}, times a periodic "
        f"{config.window} window; the Fourier transform of {front['n_window']} points; P = {unit}; the bins from "
        f"{frequencies[0]:.0f} to {frequencies[-1]:.0f} Hz, {front['rows']} rows, low ones first.",
        f"Scale: {scale}.",
        f"Denoise, over blocks of {front['block_frames']} frames (a tail shorter than half a block joins the last): "
        f"{_denoise(front)}",
    ]
    if config.centred:
        steps.append(f"Frames are centred: half a window ({config.padding}) is put before the first sample.")
    if len(front["smoothing"]) > 1:
        weights = ", ".join(f"{weight:.6f}" for weight in front["smoothing"])
        steps.append(f"Smooth along frames and rows of a block, ends reflect; half of the kernel: {weights}.")
    reduction = "the mean of them" if patches["resize"] == "mean" else "interpolated between the patch's corner points"
    where = "around each peak" if values["kind"] == "peaks" else "around the middle of the sound"
    steps.append(
        f"Patch: {patches['slices']} frames {where} (as many before it as from it on); {patches['reduce_time']} "
        f"frames by {patches['reduce_frequency']} rows become one number ({reduction}): {patches['columns']} columns "
        f"of {patches['bands']} bands."
    )
    if values["kind"] == "peaks":
        peaks = values["peaks"]
        steps.append(
            "A peak: the strongest row of each frame, smoothed (Gaussian, standard deviation "
            f"{peaks['smooth_s'] * 1000:g} ms); its highest points, {peaks['separation_s'] * 1000:g} ms apart, above "
            f"{peaks['floor']:g}, prominent by {peaks['prominence']:g} within {peaks['reach_s'] * 1000:g} ms."
        )
    return [f"{number}. {step}" for number, step in enumerate(steps, 1)]


def _denoise(front: Mapping[str, Any]) -> str:
    if front["denoise"] == "none":
        return "nothing is taken away."
    if front["denoise"] == "published":
        return (
            f"each row loses its mean over the frames whose mean level is above {front['mask_level']:g}, and over the "
            "others, separately; what is left is never below 0."
        )
    return f"each row loses its {front['denoise']}; what is left is never below 0."


def _lines(words: Any) -> str:
    return "".join(f"  {word},\n" for word in words)
