"""Cases of the layers that bring data into form; the words are explained in cases.py."""

from tests.conformance.case import case

__all__ = ["DATA", "DATA_BAD"]

SOUND = (2, 40, 3)
DATA = [
    *(case("CategoryEncoding", shape, num_tokens=6, output_mode=mode, _dtype="int32")
      for mode in ("one_hot", "multi_hot", "count") for shape in ((3,), (3, 4), (3, 1))),
    case("CategoryEncoding", (3, 4), num_tokens=6, output_mode="count", _dtype="int32", _call={"count_weights": (3, 4)}),
    *(case("Discretization", (3, 4), bin_boundaries=[-0.5, 0.0, 1.5], output_mode=mode)
      for mode in ("int", "one_hot", "multi_hot", "count")),
    case("Discretization", (3, 1), bin_boundaries=[1.0, 3.0], output_mode="one_hot", _dtype="int32"),
    case("Discretization", (5,), bin_boundaries=[0.0]),
    case("Discretization", (5,), bin_boundaries=[]),
    case("MelSpectrogram", (2, 200), fft_length=32, sequence_stride=16, num_mel_bins=4, power_to_db=False, window=None),
    case("MelSpectrogram", (2, 200), fft_length=64, sequence_stride=16, num_mel_bins=5),
    case("MelSpectrogram", (2, 200), fft_length=64, sequence_stride=25, sequence_length=50, window="hamming",
         num_mel_bins=4, sampling_rate=8000, min_freq=100.0, max_freq=3000.0, mag_exp=1.0, top_db=20.0, ref_power=2.0),
    *(case("STFTSpectrogram", SOUND, mode=mode, frame_length=8, **words) for mode, words in (
        ("log", {}), ("magnitude", {"frame_step": 3, "padding": "same"}), ("psd", {"fft_length": 16, "scaling": None}),
        ("real", {"window": "hamming", "periodic": True, "scaling": "spectrum"}), ("imag", {"expand_dims": True}),
        ("stft", {}), ("psd", {"window": None, "scaling": None}),
    )),
    case("STFTSpectrogram", (2, 3, 40), mode="stft", frame_length=8, data_format="channels_first", frame_step=8),
    case("STFTSpectrogram", (2, 3, 40), mode="magnitude", frame_length=8, data_format="channels_first",
         expand_dims=True, padding="same"),
]
LOOKUPS = ("StringLookup", "IntegerLookup")
DATA_BAD = [
    ("CategoryEncoding", {}), ("CategoryEncoding", {"num_tokens": 0}), ("CategoryEncoding", {"num_tokens": "3"}),
    ("CategoryEncoding", {"num_tokens": 3, "output_mode": "int"}), ("CategoryEncoding", {"num_tokens": 3, "sparse": True}),
    ("Discretization", {}), ("Discretization", {"bin_boundaries": [1, 0]}), ("Discretization", {"bin_boundaries": "a"}),
    ("Discretization", {"num_bins": 0}), ("Discretization", {"num_bins": 3, "bin_boundaries": [1.0]}),
    ("Discretization", {"num_bins": 3, "output_mode": "hot"}), ("Discretization", {"num_bins": 3, "epsilon": -1}),
    ("MelSpectrogram", {"fft_length": 0}), ("MelSpectrogram", {"sequence_length": 4096}),
    ("MelSpectrogram", {"window": "hat"}), ("MelSpectrogram", {"window": [1.0]}), ("MelSpectrogram", {"top_db": "80"}),
    ("MelSpectrogram", {"num_mel_bins": 1.5}), ("MelSpectrogram", {"power_to_db": 1}),
    ("STFTSpectrogram", {"mode": "power"}), ("STFTSpectrogram", {"frame_step": 300}),
    ("STFTSpectrogram", {"fft_length": 100}), ("STFTSpectrogram", {"scaling": "x"}),
    ("STFTSpectrogram", {"padding": "causal"}), ("STFTSpectrogram", {"expand_dims": None}),
    ("Hashing", {"num_bins": 0}), ("Hashing", {"num_bins": None}), ("Hashing", {"num_bins": 3, "salt": [1]}),
    ("Hashing", {"num_bins": 3, "output_mode": "tf_idf"}), ("Hashing", {"num_bins": 3, "dtype": "float32"}),
    ("Hashing", {"num_bins": 3, "output_mode": "count", "sparse": True}),
    ("HashedCrossing", {"num_bins": -1}), ("HashedCrossing", {"num_bins": 3, "output_mode": "count"}),
    ("HashedCrossing", {"num_bins": 3, "output_mode": "one_hot", "sparse": True}),
    *((name, words) for name in LOOKUPS for words in (
        {"max_tokens": 1}, {"num_oov_indices": -1}, {"output_mode": "hot"}, {"pad_to_max_tokens": True},
        {"invert": True, "output_mode": "count"}, {"output_mode": "count", "sparse": True}, {"idf_weights": [1.0]}, {"oov_method": "x"}, {"vocabulary": []}, {"vocabulary": [None]},
        {"vocabulary": [1.5]}, {"vocabulary": ["a", "a"]} if name == "StringLookup" else {"vocabulary": [1, 1]},
        {"output_mode": "tf_idf", "vocabulary": ["1"]}, {"salt": "a", "oov_method": "farmhash"})),
    ("StringLookup", {"mask_token": "", "vocabulary": ["a", ""]}), ("StringLookup", {"encoding": "utf-9"}),
    ("StringLookup", {"invert": True, "vocabulary": ["a", "[UNK]"]}), ("StringLookup", {"vocabulary": [1, 2]}),
    ("StringLookup", {"max_tokens": 2, "vocabulary": ["a", "b"]}),
    ("StringLookup", {"output_mode": "tf_idf", "vocabulary": ["a", "b"], "idf_weights": [1.0]}),
    ("IntegerLookup", {"vocabulary_dtype": "int32"}), ("IntegerLookup", {"salt": 3}),
    ("TextVectorization", {"standardize": "upper"}), ("TextVectorization", {"split": "lines"}),
    ("TextVectorization", {"ngrams": 0}), ("TextVectorization", {"ngrams": [1, 2]}), ("TextVectorization", {"ngrams": "2"}),
    ("TextVectorization", {"output_mode": "hot"}), ("TextVectorization", {"output_sequence_length": 0}),
    ("TextVectorization", {"output_mode": "count", "output_sequence_length": 3}),
    ("TextVectorization", {"sparse": True}), ("TextVectorization", {"ragged": True}),
    ("TextVectorization", {"max_tokens": "many"}), ("TextVectorization", {"encoding": None}),
]
