"""Callbacks: who is told what happens while a model trains."""

from kyeo.callbacks.backup import BackupAndRestore
from kyeo.callbacks.base import Callback
from kyeo.callbacks.callback import CallbackList
from kyeo.callbacks.csv_logger import CSVLogger
from kyeo.callbacks.early_stopping import EarlyStopping
from kyeo.callbacks.history import History
from kyeo.callbacks.lambda_callback import LambdaCallback
from kyeo.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from kyeo.callbacks.logger_callback import LoggerCallback
from kyeo.callbacks.model_checkpoint import ModelCheckpoint
from kyeo.callbacks.orbax_checkpoint import OrbaxCheckpoint
from kyeo.callbacks.progbar_logger import ProgbarLogger
from kyeo.callbacks.remote_monitor import RemoteMonitor
from kyeo.callbacks.swap_ema_weights import SwapEMAWeights
from kyeo.callbacks.tensorboard import TensorBoard
from kyeo.callbacks.terminate_on_nan import TerminateOnNaN
from kyeo.core.gone import answer_for_missing

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "LoggerCallback", "ModelCheckpoint", "OrbaxCheckpoint", "ProgbarLogger",
    "ReduceLROnPlateau", "RemoteMonitor", "SwapEMAWeights", "TensorBoard", "TerminateOnNaN",
]

answer_for_missing(__name__)
