"""What is said in words, below the name of whom it is about."""

from collections.abc import Iterator

from rich.console import RenderableType

from kpimart import render
from kpimart.insight.summary import Summaries, Summary
from kpimart.language import Language, said


def of_summaries(found: Summaries, *, with_proof: bool = False) -> Iterator[RenderableType]:
    """The sentences of everybody; with_proof: below each the query that returns its figures."""
    yield f"{found.period.start} … {found.period.end}"
    level = said(found.level.capitalize(), found.language)
    for summary in found.summaries:
        yield ""
        # the company has no name of its own
        yield level if found.level == "company" else f"{level} {summary.entity_name}"
        yield of_summary(summary, found.language, with_proof=with_proof)


def of_summary(summary: Summary, language: Language, *, with_proof: bool = False) -> RenderableType:
    """The sentences about somebody, each after its topic."""
    pairs: list[tuple[str, RenderableType]] = []
    for sentence in summary.sentences:
        pairs.append((said(sentence.topic, language), sentence.text))
        if with_proof:
            pairs.append(("", sentence.proof))
    return render.facts(pairs)
