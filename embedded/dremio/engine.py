"""The engine: its parts, put together. REST and Flight are two faces of it."""

import threading
import uuid

from embedded.dremio.catalog.catalog import Catalog
from embedded.dremio.catalog.datasets import Datasets, Sources
from embedded.dremio.catalog.model import HOME, TABLE
from embedded.dremio.catalog.service import CatalogService
from embedded.dremio.config import Config
from embedded.dremio.errors import EngineError
from embedded.dremio.jobs.service import Jobs
from embedded.dremio.logs import QueryLog
from embedded.dremio.metrics import Metrics
from embedded.dremio.reflections.service import Reflections
from embedded.dremio.sql.executor import Executor
from embedded.dremio.sql.planner import Planner
from embedded.dremio.sql.system import SystemTables
from embedded.dremio.sql.writes import TableWriter
from embedded.dremio.storage.duck import Duck
from embedded.dremio.storage.leases import Leases
from embedded.dremio.storage.store import Store
from embedded.dremio.users import User, Users, now_ms

STOP_TIMEOUT_S = 10.0
HOUSEKEEPING_S = 60.0


class Engine:
    def __init__(self, config: Config) -> None:
        data = config.data_dir
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.config = config
        self.metrics = Metrics()
        self.store = Store(data / "state.sqlite")
        self.users = Users(self.store)
        self.catalog = Catalog(self.store)
        self.duck = Duck(data / "scratch", config.memory_limit, config.threads)
        self.leases = Leases()
        self.sources = Sources(self.catalog, self.duck)
        self.datasets = Datasets(self.catalog, self.duck, self.sources, self.leases)
        self.cluster_id, self.cluster_created_at = self._cluster(self.store)
        self.reflections = Reflections(
            self.store,
            self.catalog,
            self.datasets,
            self.duck,
            self.leases,
            self.metrics,
            data / "accelerator",
        )
        self.system = SystemTables(self.catalog, {"edition": config.edition})
        self.planner = Planner(
            self.catalog, self.datasets, self.duck, self.system, self.reflections
        )
        self.writer = TableWriter(self.store, self.catalog, self.datasets, self.sources)
        self.executor = Executor(
            catalog=self.catalog,
            datasets=self.datasets,
            live=self.sources,
            planner=self.planner,
            system=self.system,
            writer=self.writer,
            reflections=self.reflections,
            leases=self.leases,
            enterprise=config.enterprise,
        )
        self.log = QueryLog(data / "log")
        self.jobs = Jobs(
            store=self.store,
            duck=self.duck,
            executor=self.executor,
            reflections=self.reflections,
            metrics=self.metrics,
            log=self.log,
            results=data / "results",
        )
        self.entities = CatalogService(
            self.store, self.catalog, self.sources, self.datasets, self.executor, self.users
        )
        for table in ("sys.reflections", "sys.materializations"):
            self.system.report(table, self.reflections)
        self.system.report("sys.jobs_recent", self.jobs)
        self._stopped = threading.Event()

    @staticmethod
    def _cluster(store: Store) -> tuple[str, int]:
        known = store.get("cluster", "id")
        if known is None:
            known = {"id": str(uuid.uuid4()), "created": now_ms()}
            store.put("cluster", "id", known)
        return str(known["id"]), int(known["created"])

    def start(self) -> None:
        self.writer.recover()
        self.reflections.start(self.planner.plan, self.jobs)
        self._housekeeper = threading.Thread(target=self._keep_house, daemon=True)
        self._housekeeper.start()

    def add_user(self, name: str, password: str, first: str, last: str, email: str) -> User:
        """A user and the home space that goes with it. Raises EngineError."""
        user = self.users.add(name, password, first, last, email)
        if self.catalog.find((f"@{user.name}",)) is None:
            self.catalog.add(HOME, (f"@{user.name}",), {})
        return user

    def _keep_house(self) -> None:
        while not self._stopped.wait(HOUSEKEEPING_S):
            self.jobs.prune()
            self._refresh_metadata()

    def _refresh_metadata(self) -> None:
        """metadataPolicy.datasetRefreshAfterMs, in the background."""
        for entity in self.catalog.all(TABLE):
            if self._stopped.is_set():
                return
            try:
                self.datasets.refresh_if_due(entity, after="datasetRefreshAfterMs")
            except EngineError:
                continue  # its source is away: tried again at the next round

    def stop(self) -> None:
        self._stopped.set()
        self.jobs.stop(STOP_TIMEOUT_S)
        self.reflections.stop()
        self._housekeeper.join(timeout=STOP_TIMEOUT_S)
        self.log.close()
        self.duck.close()
        self.store.close()
