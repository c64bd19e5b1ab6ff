"""A model file and its parity report as tables for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from ecotf.commands.console import console, log, plain
from ecotf.errors import ConfigError
from ecotf.export.convert.flatbuffer import read_model
from ecotf.export.describe.boards import boards, budget
from ecotf.export.describe.container import ModelFile
from ecotf.export.describe.costs import operators, runs_per_second, signature_costs


def show_parity(parity: dict[str, Any]) -> None:
    """Front end, network and trees separately, then detections."""
    table = _table("part", "of", "max error", "rms error", "agreement", title=_title(parity))
    front_end, trees, whole = parity["front_end"], parity["trees"], parity["serving_default"]
    if front_end is not None:
        table.add_row(
            f"front end, {front_end['unit']}",
            f"{front_end['n']} {front_end.get('of', 'chunks')}",
            *_errors(front_end),
            "",
        )
        table.add_row("  within 40 dB", "", f"{front_end['max_within_40_db']:.1e}", "", "")
    network = parity["network"]
    table.add_row("network", f"{network['n']} patches", *_errors(network), _share(network["agreement"]))
    if trees is not None:
        name = f"{trees['n_trees']} trees"
        table.add_row(name, f"{trees['n']} patches", f"{trees['max']:.1e}", "", _share(trees["agreement"]))
        table.add_row("  margins to the bit", "", f"{trees['margins_max']:.1e}", "", _share(trees["exact_margins"]))
    table.add_row("sound to scores", f"{whole['n']} sounds", *_errors(whole), _share(whole["agreement"]))
    console.print(table)
    if parity["detections"] is not None:
        _show_detections(parity["detections"])


def _show_detections(detections: dict[str, Any]) -> None:
    table = _table("label", "AP", "precision", "recall", "found", title="detections of the run, and the file's change")
    for label, row in detections["labels"].items():
        if row["recall"][0] is not None:
            table.add_row(plain(label), *(_change(row[key]) for key in ("ap", "precision", "recall", "n_detections")))
    console.print(table)
    if "cmap" in detections:
        segments = f"{detections['segments_with_truth']} segments with labels"
        same = f"{100 * detections['same_decisions']:.2f} % of all decisions are the same"
        log(f"mean AP over classes, {segments}: {_change(detections['cmap'])}; {same}")
    desktop, device = detections["n_detections"]
    if not desktop + device:
        log(
            "no detection above its threshold, by the run or by the file, so none is compared; --data MANIFEST takes "
            "other recordings"
        )
        return
    same = f"{100 * detections['same_detections']:.1f} % are the same, label and box"
    if "alike" in detections and detections["same_detections"] < 1:
        either = desktop + device - detections["alike"]
        same += f"; {100 * detections['alike'] / max(either, 1):.1f} % have label and half of their time in common"
    log(f"detections above their thresholds: {desktop} by the run, {device} by the file; {same}")


def _table(first: str, *figures: str, title: str) -> Table:
    """Names may be folded, figures never."""
    table = Table(first, title=title, title_justify="left")
    for name in figures:
        table.add_column(name, no_wrap=True, justify="right")
    return table


def _title(parity: dict[str, Any]) -> str:
    where = f"{len(parity['recordings'])} {parity['compared_on']}, {parity['seconds']:.0f} s"
    return f"{parity['precision']} beside its run, on {where}; {parity['runtime']}, without TensorFlow"


def _errors(part: dict[str, Any]) -> tuple[str, str]:
    return f"{part['max']:.1e}", f"{part['rms']:.1e}"


def _share(share: float) -> str:
    return f"{100 * share:.4g} %"


def _change(values: list[Any]) -> str:
    """Write the run's figure and the difference of the file's figure."""
    first, second = values
    if first is None or second is None:
        return "-" if first is second else f"{first} -> {second}"
    if isinstance(first, int):
        return f"{first}" if first == second else f"{first} {second - first:+d}"
    return f"{first:.3f}" if abs(second - first) < 0.0005 else f"{first:.3f} {second - first:+.3f}"


def show_model(file: ModelFile) -> None:
    """Print the description of a model file, its costs, and the share of each board that it takes."""
    source = str(file.path)
    model = read_model(file.flatbuffer, source)
    if not file.values and model.description in (b"ecotf", "ecotf"):
        raise ConfigError(f"{source}: cut off, its description is missing; copy it again")
    if file.values:
        try:
            _show_description(file)
            _show_work(file.values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{source}: its description is not one of ecotf's ({error}); export it again") from None
    else:
        log(f"{source}: a TFLite model without a description; ecotf did not make it")
    log(f"size:       {file.path.stat().st_size / 1e6:.2f} MB, the model itself {len(file.flatbuffer) / 1e6:.2f} MB")
    costs = signature_costs(file.flatbuffer, source)
    table = _table("signature", "multiply-adds", "arena", "million instructions", "x86 ms", title="one run of each")
    took = file.values["cost"]["x86_ms"] if file.values else {}
    for name, cost in costs.items():
        ms = f"{took[name]:.2f}" if name in took else "-"
        memory, instructions = f"{cost.arena_bytes / 1e6:.2f} MB", f"{cost.instructions / 1e6:.1f}"
        table.add_row(name, f"{cost.multiply_adds:,}", memory, instructions, ms)
    console.print(table)
    if not all(cost.complete for cost in costs.values()):
        log("warning:    it leaves shapes open and does not run here, so it costs more than this table says")
    listed = (f"{name} v{version} x{count}" for name, version, count in operators(file.flatbuffer, source))
    log(f"operators:  {', '.join(listed)}")
    if file.values:
        _show_budgets(file.values)


def _show_work(values: dict[str, Any]) -> None:
    """Say what ten seconds of sound cost, as papers on tagging count it: multiply-adds, of each stage."""
    if values["kind"] not in ("segments", "peaks"):
        return
    runs = {name: 10 * rate for name, rate in runs_per_second(values).items()}
    total = sum(values["multiply_adds"][name] * rate for name, rate in runs.items())
    parts = ""
    if values["kind"] == "segments" and "stage_multiply_adds" in values:
        stages = ((name, adds * runs["serving_default"]) for name, adds in values["stage_multiply_adds"].items())
        parts = f" ({', '.join(f'{name} {adds / 1e9:.3f}' for name, adds in stages if adds)})"
    log(f"work:       {total / 1e9:.3f} G multiply-adds for 10 s of sound{parts}")


def _show_description(file: ModelFile) -> None:
    values = file.values
    log(f"{file.path}: {values['name']}, run {values['run']} ({values['run_checksum'][:12]}), made {values['created']}")
    log(f"sound:      {values['input']} at {values['sample_rate_hz']} Hz; networks {values['precision']}")
    if "window" in values:
        window = values["window"]
        seen = window["samples"] / values["sample_rate_hz"]
        log(f"segments:   of {window['segment_s']:g} s, each from {seen:g} s of sound; it reports {values['report']}")
    species = (f"{name} {values['thresholds'][name]:.2f}" for name in values["species"])
    call = f"call {values['thresholds']['call']:.2f}, " if "call" in values["thresholds"] else ""
    log(f"thresholds: {call}{', '.join(species)}")
    log(f"licence:    {values['licence'].strip()}")


def _show_budgets(values: dict[str, Any]) -> None:
    cost = values["cost"]
    each_second = cost["million_instructions_per_s"]
    peaks = f" with {cost['peaks_per_s']:.0f} peaks" if cost["peaks_per_s"] is not None else ""
    title = (
        f"budget: {cost['memory_mb']:.0f} MB with the recorder, about {each_second:.0f} million instructions for a "
        f"second of sound{peaks} (an estimate, without the recorder's own work; nothing was measured on a board)"
    )
    table = _table("board", "name", "memory", "of one core", "headroom", title=title)
    for name, board in boards().items():
        found = budget(values, board)
        assert found.instructions is not None
        headroom = f"{1 / found.instructions:.1f} times" if found.fits else "does not fit"
        table.add_row(board.title, name, f"{100 * found.memory:.0f} %", f"{100 * found.instructions:.0f} %", headroom)
    console.print(table)
