"""Optuna's own contract suite for storages, over both databases."""

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from hpo.storage.store import Store


class TestContract(StorageTestCase):
    @pytest.fixture
    def storage(self, store: Store) -> Store:
        return store
