"""Computing in half precision, under the names that tf.keras and `keras.mixed_precision` have.

>>> import kyeo
>>> kyeo.mixed_precision.Policy("mixed_bfloat16").compute_dtype
'bfloat16'
"""

from kyeo.core.gone import answer_for_missing
from kyeo.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from kyeo.optimizers import LossScaleOptimizer

__all__ = [
    "DTypePolicy", "LossScaleOptimizer", "Policy", "dtype_policy", "global_policy", "set_dtype_policy",
    "set_global_policy",
]

Policy, global_policy, set_global_policy = DTypePolicy, dtype_policy, set_dtype_policy

answer_for_missing(__name__)
