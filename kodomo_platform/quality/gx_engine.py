"""Great Expectations on DuckDB by SQL push-down. Importing this module costs seconds: import it inside functions.

Great Expectations has no DuckDB dialect and closes the connection before it fetches; `DuckDBExecutionEngine` keeps the
one connection it is given, which is the warehouse's own, so nothing is opened twice. All expectations on one relation
depend on one metric, which answers all their counts in one scan (the aggregate metrics that come with the library cost
10 ms each). No value is ever fetched: a metric is a list of counts.

Which expectations there are and what they mean belongs to `suites` and `vocabulary`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import duckdb
import great_expectations as gx
import sqlalchemy as sa
from duckdb_sqlalchemy import ConnectionWrapper
from great_expectations.core.batch import Batch
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import Validator

from kodomo_platform.quality.vocabulary import Check

# SQL of the bundles in flight, by their key: a metric's arguments must be small, they are hashed for every expectation
_BUNDLES: dict[str, tuple[str, Sequence[Check]]] = {}

_METRIC = "table.kodomo_counts"


def counts_sql(relation: str, checks: Sequence[Check]) -> str:
    """One scan of ``relation`` that answers (evaluated, unexpected) for every check."""
    answers = ", ".join(
        f"count(*) filter (where {check.scope}), count(*) filter (where ({check.scope}) and ({check.violated}))"
        for check in checks
    )
    return f"select {answers} from {relation} as checked"


class KodomoCounts(TableMetricProvider):  # type: ignore[misc]
    """All counts of one bundle, in one scan."""

    metric_name = _METRIC
    value_keys = ("bundle",)

    @metric_value(engine=SqlAlchemyExecutionEngine)  # type: ignore[untyped-decorator]
    def _sqlalchemy(
        cls,  # noqa: N805 - the library turns it into a class method
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> list[int]:
        relation, checks = _BUNDLES[metric_value_kwargs["bundle"]]
        # exec_driver_sql: the text is final, a colon or percent sign in a pattern is no parameter
        with execution_engine.get_connection() as connection:
            row = connection.exec_driver_sql(counts_sql(relation, checks)).fetchone()
        return [int(count) for count in row]


class ExpectKodomoCheck(BatchExpectation):  # type: ignore[misc]
    """The rows in scope break a condition in no more than ``threshold`` percent."""

    bundle: str
    place: int
    threshold: float

    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    success_keys: ClassVar[tuple[str, ...]] = ("bundle", "place", "threshold")
    metric_dependencies: ClassVar[tuple[str, ...]] = ()

    def get_validation_dependencies(
        self, execution_engine: Any = None, runtime_configuration: dict[str, Any] | None = None
    ) -> Any:
        dependencies = super().get_validation_dependencies(
            execution_engine=execution_engine, runtime_configuration=runtime_configuration
        )
        dependencies.set_metric_configuration(
            _METRIC,
            MetricConfiguration(
                _METRIC, metric_domain_kwargs={"batch_id": self.batch_id}, metric_value_kwargs={"bundle": self.bundle}
            ),
        )
        return dependencies

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> list[RenderedStringTemplateContent]:
        """In Data Docs an expectation is its plain sentence."""
        configuration = configuration or result.expectation_config
        said = (configuration.meta or {}).get("said") or configuration.type
        return [
            RenderedStringTemplateContent(
                content_block_type="string_template", string_template={"template": "$said", "params": {"said": said}}
            )
        ]

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        evaluated, unexpected = metrics[_METRIC][2 * self.place : 2 * self.place + 2]
        percent = 100 * unexpected / evaluated if evaluated else 0.0
        return {
            "success": percent <= self.threshold + 1e-9,
            "result": {"element_count": evaluated, "unexpected_count": unexpected, "unexpected_percent": percent},
        }


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):  # type: ignore[misc]
    """Great Expectations' SQL engine over one open DuckDB connection that it never closes."""

    _connection: Any

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        if not self._connection:
            self._connection = self.engine.connect()
        yield self._connection


def _quiet() -> None:
    """No analytics, no progress bars, no project folder: an ephemeral context set up once per process."""
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}


class GreatExpectations:
    """Validates bundles of checks on one DuckDB connection (a cursor of it: open transactions are seen, not kept)."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        _quiet()
        cursor = con.cursor()
        engine = sa.create_engine(
            "duckdb:///:memory:", creator=lambda: ConnectionWrapper(cursor), poolclass=sa.pool.StaticPool
        )
        self._engine = DuckDBExecutionEngine(engine=engine)
        self._cursor = cursor

    def counts(self, relation: str, checks: Sequence[Check], thresholds: Sequence[float]) -> list[tuple[int, int]]:
        """(evaluated, unexpected) of every check on ``relation``. Raises RuntimeError (without values) if SQL fails."""
        key = uuid.uuid4().hex
        _BUNDLES[key] = (relation, checks)
        try:
            data = SqlAlchemyBatchData(
                execution_engine=self._engine,
                selectable=sa.select(sa.literal_column("1").label("one")),  # the metric reads its own relation
                create_temp_table=False,
            )
            validator = Validator(
                execution_engine=self._engine, batches=[Batch(data=data, batch_spec={}, batch_markers={})]
            )
            validator.metrics_calculator.show_progress_bars = False
            configurations = [
                ExpectationConfiguration(
                    type="expect_kodomo_check",
                    kwargs={"bundle": key, "place": place, "threshold": threshold},
                    meta={"place": place},
                )
                for place, threshold in enumerate(thresholds)
            ]
            answers = validator.graph_validate(
                configurations=configurations,
                runtime_configuration={
                    "catch_exceptions": True,
                    "result_format": {"result_format": "BASIC", "partial_unexpected_count": 0},
                },
            )
        finally:
            del _BUNDLES[key]
        found: list[tuple[int, int] | None] = [None] * len(checks)
        for answer in answers:
            if "element_count" in answer.result:
                place = int(answer.expectation_config.meta["place"])
                found[place] = (answer.result["element_count"], answer.result["unexpected_count"])
        if None in found:
            # the library's message may quote a cell ("could not convert …"): it stops here
            raise RuntimeError("the query of this bundle failed")
        return [pair for pair in found if pair is not None]

    def close(self) -> None:
        """Give the cursor back. The warehouse's own connection stays open."""
        self._engine.close()
        self._cursor.close()
