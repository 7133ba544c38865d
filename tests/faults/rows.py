"""All rows of the table: importing a module of rows enters them in the registry."""

from tests.faults import faults_of_processes, faults_of_queue, faults_of_storage, forged_messages, long_runs
from tests.faults.registry import ROWS

MODULES = (faults_of_processes, faults_of_queue, forged_messages, faults_of_storage, long_runs)

__all__ = ["MODULES", "ROWS"]
