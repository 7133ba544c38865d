"""All rows of the table: importing a module of rows enters them in the registry."""

import faults_of_processes
import faults_of_queue
import faults_of_storage
import forged_messages
import long_runs
from registry import ROWS

MODULES = (faults_of_processes, faults_of_queue, forged_messages, faults_of_storage, long_runs)

__all__ = ["MODULES", "ROWS"]
