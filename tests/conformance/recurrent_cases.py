"""Cases of recurrent layers; see cases.py. `_call` names further arguments of the call by their shapes."""

from tests.conformance.case import Inner, case

__all__ = ["RECURRENT", "RECURRENT_BAD"]

SEQUENCE, STATE, MASK = (3, 6, 4), (3, 5), (3, 6)

RECURRENT = [
    case(name, SEQUENCE, units=5, _mask=MASK if masked else None, _call=call, **words)
    for name in ("LSTM", "GRU", "SimpleRNN")
    for states in [[STATE, STATE] if name == "LSTM" else [STATE]]
    for masked, call, words in [
        (False, {}, {}),
        (False, {}, {"return_sequences": True}),
        (False, {}, {"return_state": True, "go_backwards": True}),
        (False, {"initial_state": states}, {"return_sequences": True, "return_state": True}),
        (False, {}, {"use_bias": False, "return_sequences": True, "go_backwards": True}),
        (False, {}, {"unroll": True, "return_sequences": True}),
        (False, {}, {"activation": "relu", "return_sequences": True}),
        (False, {}, {"dropout": 0, "recurrent_dropout": 0.0, "kernel_regularizer": "l2", "recurrent_constraint": "max_norm"}),
        (False, {}, {"bias_initializer": "ones", "recurrent_regularizer": "l1", "bias_regularizer": "l2"}),
        (True, {}, {}),
        (True, {}, {"return_sequences": True, "return_state": True}),
        (True, {}, {"return_sequences": True, "zero_output_for_mask": True}),
        (True, {"initial_state": states}, {"go_backwards": True, "return_sequences": True}),
        (True, {}, {"activation": "softsign", "return_sequences": True, "return_state": True}),
    ]
] + [
    case("LSTM", SEQUENCE, units=5, recurrent_activation="hard_sigmoid", unit_forget_bias=False),
    case("LSTM", SEQUENCE, units=5, activity_regularizer="l2", bias_constraint="non_neg", use_cudnn=False),
    case("LSTM", SEQUENCE, units=5, implementation=1, return_sequences=True),
    case("LSTM", SEQUENCE, units=1),
    case("GRU", SEQUENCE, units=5, reset_after=False),
    case("GRU", SEQUENCE, units=5, reset_after=False, use_bias=False, return_sequences=True, _mask=MASK),
    case("GRU", SEQUENCE, units=5, implementation=1, activity_regularizer="l2"),
    case("GRU", SEQUENCE, units=5, use_bias=False, recurrent_activation="hard_sigmoid"),
    case("SimpleRNN", SEQUENCE, units=5, activation=None),
    case("LSTMCell", (3, 4), units=5, _call={"states": [STATE, STATE]}),
    case("LSTMCell", (3, 4), units=5, use_bias=False, activation="relu", _call={"states": [STATE, STATE]}),
    case("LSTMCell", (3, 4), units=5, implementation=1, unit_forget_bias=False, _call={"states": [STATE, STATE]}),
    case("GRUCell", (3, 4), units=5, _call={"states": [STATE]}),
    case("GRUCell", (3, 4), units=5, reset_after=False, _call={"states": [STATE]}),
    case("GRUCell", (3, 4), units=5, use_bias=False, implementation=1, _call={"states": STATE}),
    case("SimpleRNNCell", (3, 4), units=5, _call={"states": [STATE]}),
    case("SimpleRNNCell", (3, 4), units=5, use_bias=False, activation="relu", _call={"states": STATE}),
    case("StackedRNNCells", (3, 4), cells=[Inner("LSTMCell", units=5), Inner("GRUCell", units=2)],
         _call={"states": [[STATE, STATE], [(3, 2)]]}),
    *(case("RNN", SEQUENCE, cell=cell, _mask=mask, **words)
      for cell in (Inner("LSTMCell", units=5), [Inner("GRUCell", units=5), Inner("LSTMCell", units=2)],
                   [Inner("SimpleRNNCell", units=5), Inner("SimpleRNNCell", units=2)])
      for mask in (None, MASK)
      for words in ({}, {"return_sequences": True, "return_state": True}, {"go_backwards": True})),
    *(case("Bidirectional", SEQUENCE, layer=Inner(name, units=5, **inner), merge_mode=mode, _mask=mask)
      for name, inner, mode, mask in (
          ("LSTM", {}, "concat", None), ("LSTM", {"return_sequences": True}, "concat", MASK), ("LSTM", {}, None, None),
          ("GRU", {"return_sequences": True}, "sum", None), ("GRU", {"return_state": True}, "ave", MASK),
          ("SimpleRNN", {"return_state": True}, None, MASK), ("SimpleRNN", {}, "mul", MASK))),
    case("Bidirectional", SEQUENCE, layer=Inner("LSTM", units=5),
         backward_layer=Inner("GRU", units=5, go_backwards=True)),
    case("Bidirectional", SEQUENCE, layer=Inner("LSTM", units=5, return_sequences=True),
         _call={"initial_state": [STATE] * 4}),
    case("TimeDistributed", SEQUENCE, layer=Inner("Dense", units=3)),
    case("TimeDistributed", SEQUENCE, layer=Inner("Dense", units=3, activation="relu"), _mask=MASK),
    case("TimeDistributed", (2, 3, 5, 5, 2), layer=Inner("Conv2D", filters=3, kernel_size=2)),
    case("TimeDistributed", (2, 3, 4), layer=Inner("BatchNormalization")),
    case("TimeDistributed", (2, 3, 4, 5), layer=Inner("LSTM", units=2)),
    *(case(name, shape, filters=3, kernel_size=2, **words) for name, shape, words in (
        ("ConvLSTM1D", (2, 3, 5, 2), {}),
        ("ConvLSTM1D", (2, 3, 5, 2), {"strides": 2, "padding": "same", "return_sequences": True}),
        ("ConvLSTM1D", (2, 3, 2, 6), {"data_format": "channels_first", "dilation_rate": 2, "return_state": True}),
        ("ConvLSTM2D", (2, 3, 4, 5, 2), {"return_sequences": True, "return_state": True}),
        ("ConvLSTM2D", (2, 3, 4, 5, 2), {"padding": "same", "use_bias": False, "recurrent_activation": "hard_sigmoid",
                                         "go_backwards": True, "recurrent_regularizer": "l2", "kernel_constraint": "max_norm"}),
        ("ConvLSTM2D", (2, 3, 2, 4, 5), {"data_format": "channels_first", "strides": (2, 1), "activation": "relu",
                                         "unit_forget_bias": False, "activity_regularizer": "l2"}),
        ("ConvLSTM2D", (2, 2, 3, 4, 1), {"_call": {"initial_state": [(2, 2, 3, 3)] * 2}}),
        ("ConvLSTM3D", (2, 2, 3, 4, 3, 2), {"padding": "same", "return_sequences": True}))),
]

RECURRENT_BAD = [
    *((name, {"units": 3, **wrong}) for name in ("LSTM", "GRU", "SimpleRNN") for wrong in (
        {"units": 0}, {"activation": "tahn"}, {"use_bias": "no"}, {"dropout": 1.5}, {"recurrent_dropout": -1},
        {"return_sequences": 1}, {"stateful": "yes"}, {"kernel_initializer": "x"}, {"seed": "x"}, {"unit": 3})),
    ("LSTM", {"units": 3, "use_cudnn": "no"}), ("LSTM", {"units": 3, "implementation": 3}),
    ("LSTM", {"units": 3, "unit_forget_bias": 1}), ("GRU", {"units": 3, "reset_after": None}),
    *((name, {"units": 3, **wrong}) for name in ("LSTMCell", "GRUCell", "SimpleRNNCell") for wrong in (
        {"units": -1}, {"activation": 3}, {"bias_constraint": 4}, {"dropout": "x"})),
    ("StackedRNNCells", {"cells": []}), ("StackedRNNCells", {"cells": [3]}), ("RNN", {"cell": 3}),
    *(("ConvLSTM2D", {"filters": 3, "kernel_size": 2, **wrong}) for wrong in (
        {"filters": 0}, {"kernel_size": (2, 2, 2)}, {"padding": "causal"}, {"strides": 2, "dilation_rate": 2},
        {"unit_forget_bias": 1}, {"data_format": "last"}, {"dropout": 2}, {"stateful": 1})),
    ("ConvLSTM1D", {"filters": 3, "kernel_size": (2, 2)}), ("ConvLSTM3D", {"filters": 3, "kernel_size": "2"}),
    ("Bidirectional", {"layer": 3}), ("TimeDistributed", {"layer": 3}),
]
