"""What the Zoo tab shows: which released files are here, whether they are intact, where to get them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from ...zoo.cache import asset_path
from ...zoo.catalog import Benchmark
from ...zoo.lock import Asset, Kind
from ...zoo.manifest import BaiduSource, GitHubSource, Row
from ...zoo.shelf import RULES, State, known_assets, of_asset
from ...zoo.verify import Finding
from . import markup

KINDS: dict[Kind, str] = {"weights": "Weights", "log": "Log", "visualisation": "Pictures"}
COLUMNS = ("Row", "Published", *KINDS.values(), "Size of the weights")


def page(benchmark: Benchmark, findings: Sequence[Finding] = ()) -> str:
    """The files of a benchmark's rows, as HTML. findings: of a check that has just been made."""
    fresh = {finding.path: finding for finding in findings}
    states = {row.id: _states(benchmark, row, fresh) for row in benchmark.manifest.rows}
    weights = Counter(of["weights"] for of in states.values())
    used = {state for of in states.values() for state in of.values()}
    return markup.page(
        markup.tally((state.value, count) for state, count in weights.most_common()),
        _table(benchmark, states),
        markup.heading("What the words mean"),
        markup.rules({state.value: rule for state, rule in RULES.items() if state in used}),
        _details(findings),
        _by_hand(benchmark) if State.UNKNOWN in weights else Markup(""),
    )


def assets_of(benchmark: Benchmark, row_id: str) -> dict[Kind, Asset]:
    """A row's known files by kind, the first of each; those that a person imported are among them."""
    found: dict[Kind, Asset] = {}
    for asset in known_assets(benchmark, benchmark.manifest.row(row_id)):
        kind: Kind = "log" if asset.kind == "text_log" else asset.kind
        found.setdefault(kind, asset)
    return found


def megabytes(size: int) -> str:
    """A size as downloads are usually told."""
    return f"{size / 1e6:,.1f} MB"


def _states(benchmark: Benchmark, row: Row, fresh: Mapping[Path, Finding]) -> dict[Kind, State]:
    """The state of each kind of file that the row has; weights always."""
    found: dict[Kind, State] = {"weights": State.UNKNOWN}
    for kind, asset in assets_of(benchmark, row.id).items():
        checked = fresh.get(asset_path(benchmark.name, asset))
        found[kind] = checked.state if checked else of_asset(benchmark, asset).state
    return found


def _table(benchmark: Benchmark, states: Mapping[str, Mapping[Kind, State]]) -> Markup:
    decimals = benchmark.manifest.metric.decimals
    rows = []
    for row in benchmark.manifest.rows:
        number = row.reported_top1
        of_row = [states[row.id].get(kind) for kind in KINDS]
        rows.append(
            [
                row.id,
                markup.EMPTY if number is None else f"{number:.{decimals}f}",
                *(
                    markup.verdict(state.value, RULES[state]) if state else markup.EMPTY
                    for state in of_row
                ),
                _size(benchmark, row),
            ]
        )
    return markup.table(COLUMNS, rows, numbers=(COLUMNS[1], COLUMNS[-1]))


def _size(benchmark: Benchmark, row: Row) -> str:
    asset = assets_of(benchmark, row.id).get("weights")
    if asset is None:
        return markup.EMPTY
    path = asset_path(benchmark.name, asset)
    size = path.stat().st_size if path.is_file() else asset.size
    return markup.EMPTY if size is None else megabytes(size)


def _details(findings: Sequence[Finding]) -> Markup:
    """What a check found beyond a word."""
    return markup.bullets(f"{one.path.name}: {one.detail}" for one in findings if one.detail)


def _by_hand(benchmark: Benchmark) -> Markup:
    """What a person does where the release isn't locked yet."""
    places = []
    for source in benchmark.manifest.sources:
        if isinstance(source, GitHubSource):
            url = f"https://github.com/{source.repository}/releases/tag/{source.tag}"
            places.append(Markup("GitHub release: {}").format(markup.link(url)))
        elif isinstance(source, BaiduSource):
            link = markup.link(source.url)
            places.append(
                Markup("Baidu Cloud: {}, extraction code <code>{}</code>").format(link, source.code)
            )
    example = benchmark.manifest.rows[-1].id
    return markup.join(
        [
            markup.heading("Getting files that aren't locked"),
            markup.paragraph(
                "mixzoo never guesses a file's name or hash. Where there is a network, the owner of this "
                "page learns them once from the release:"
            ),
            markup.command(f"mixzoo zoo lock {benchmark.name}"),
            markup.paragraph("Or a person fetches files with a browser:"),
            markup.bullets(places),
            markup.paragraph("and gives them to their row:"),
            markup.command(f"mixzoo zoo import FILE --row {example}"),
        ]
    )
