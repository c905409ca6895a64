"""Rows of test_ops.py for signals, pixels, statistics, windows, segments, NaN and CTC; an expression each."""

import numpy as np

__all__ = ["MORE_ROWS", "MORE_VALUES"]

rng = np.random.default_rng(1)


def floats(*shape):
    return rng.normal(size=shape).astype("float32")


_nans = floats(3, 4)
_nans[0, 1] = _nans[2, 2] = np.nan
MORE_VALUES = {
    "SIG": floats(2, 20), "PIX": floats(1, 4, 6, 8), "NANS": _nans, "LOGITS": floats(2, 6, 4) * 2,
    "PAIR_A": floats(3, 4), "PAIR_B": floats(3, 4), "FREQ_A": floats(2, 5, 5), "FREQ_B": floats(2, 5, 5),
    "COLS": floats(2, 12, 6), "TARGET": np.array([[1, 2, 2], [3, 1, 0]], "int32"), "VEC": floats(5),
    "LEN3": np.array([3, 2], "int32"), "LEN6": np.array([6, 5], "int32"),
    "TRI": np.tril(floats(3, 3)).astype("float32") + 2 * np.eye(3, dtype="float32"),
}
MORE_ROWS = [part.strip() for part in """
    angle(F) | angle(Z) | angle(I) | fabs(F) | fabs(I) | gcd(I, J) | gcd(I, 2) | lcm(I, J) | heaviside(F, 0.5)
    heaviside(I, J) | i0(F) | i0(I) | ldexp(F, J) | ldexp(I, 3) | nextafter(F, P) | nextafter(F, 9.0) | dsplit(B, 2)
    dsplit(B, [1, 3]) | hsplit(F, 3) | hsplit(V, 2) | vsplit(F, 2) | vsplit(B, [1]) | dstack([F, P]) | dstack((ROW, ROW))
    fliplr(F) | flipud(F) | diagflat(ROW) | diagflat(F, 1) | diagflat(ROW, k=-2) | geomspace(1.0, 8.0, 4)
    geomspace(1, 1000, num=3, endpoint=False, dtype='float32') | geomspace(P, 9.0, 3, axis=1) | vander(ROW) | vander(ROW, 2)
    vander(TWO, N=4, increasing=True) | vander(VEC, 0) | argpartition(F, 1) | argpartition(B, 2, axis=1)
    argpartition(F, 3, axis=None) | unravel_index(TWO, (2, 3)) | unravel_index(I * 0 + 5, (2, 3, 4)) | view(F, 'int32') | unravel_index(TWO, 5)
    view(F) | view(I, dtype='uint8') | view(cast(F, 'float16')[:, :2], 'int16') | vectorize(lambda a: a * 2)(F)
    vectorize(lambda a, b: a @ b, signature='(n),(n)->()')(F, ROW) | vectorize(lambda a, k: a + k, excluded={1})(F, 2)
    jvp(lambda a: a * a, (F,), (P,)) | jvp(lambda a, b: (a * b, a), [F, P], [P, F], has_aux=True)
    nanmedian(NANS) | nanmedian(NANS, 1, True) | nanprod(NANS, axis=0) | nanprod(I) | nanstd(NANS) | nanstd(NANS, axis=1)
    nanvar(NANS, axis=(0, 1), keepdims=True) | nanvar(I, 1) | nanargmax(NANS) | nanargmax(NANS, axis=1, keepdims=True)
    nanargmin(NANS, 0) | nanargmin(I) | nancumsum(NANS) | nancumsum(NANS, 1) | nancumprod(NANS, axis=0)
    nancumsum(I, dtype='float16') | nancumprod(I, 1, 'float32') | nanquantile(NANS, 0.3) | nansum(NANS, 1) | nanmax(NANS, 0)
    nanquantile(NANS, [0.2, 0.7], axis=1, method='lower', keepdims=True) | nanpercentile(NANS, 30, axis=0) | nanmean(NANS)
    nanpercentile(NANS, [20.0, 70.0], 1, 'nearest', True) | percentile(F, 30) | percentile(B, [10, 60.5], axis=(0, 2))
    percentile(F, 50, axis=1, method='midpoint', keepdims=True) | quantile(F, 0.4, method='higher')
    histogram(V) | histogram(VEC, 4, (-1, 1)) | histogram(TWO, bins=3) | histogram(VEC, bins=2, range=(0.0, 0.5))
    digitize(F, [-1.0, 0.0, 0.5]) | digitize(I, [0, 2]) | digitize(F, VEC * 0) | corrcoef(F) | corrcoef(NANS[1]) | corrcoef(I)
    correlate(V, ROW) | correlate(ROW, V, mode='same') | correlate(V, VEC, 'full') | correlate(TWO, TWO)
    trapezoid(F) | trapezoid(F, dx=0.5, axis=0) | trapezoid(F, x=ROW) | trapezoid(I) | trapezoid(F, F * F)
    segment_min(S, IDS, 4) | segment_prod(S, IDS, num_segments=3) | segment_prod(H, SORTED, 2, sorted=True)
    segment_min(I[0], SORTED, num_segments=3) | bartlett(7) | blackman(6) | hamming(5) | hanning(4) | kaiser(6, 2.5)
    hamming(1) | hanning(0) | kaiser(5, beta=14) | cdist(F, S) | cdist(B, B + 1) | cholesky_inverse(TRI)
    cholesky_inverse(transpose(TRI), upper=True) | matrix_rank(S) | matrix_rank(ones((2, 3, 3))) | matrix_rank(SPD, tol=0.5)
    extract_sequences(SIG, 5, 3) | extract_sequences(VEC, 2, 1) | extract_sequences(stack([SIG, SIG]), 20, 7)
    fft((PAIR_A, PAIR_B)) | fft2((PAIR_A, PAIR_B)) | ifft2([PAIR_A, PAIR_B]) | rfft(SIG) | rfft(SIG, 16) | rfft(SIG, fft_length=32)
    rfft(I) | irfft((PAIR_A, PAIR_B)) | irfft((PAIR_A, PAIR_B), 7) | irfft((PAIR_A, PAIR_B), fft_length=10)
    stft(SIG, 6, 3, 8) | stft(SIG, 8, 4, 8, center=False) | stft(SIG, 5, 2, 9, window='hamming') | stft(VEC, 4, 1, 4, None)
    stft(SIG, 6, 4, 8, window=ones(6), center=False) | stft(stack([SIG, SIG]), 1, 3, 4)
    istft((FREQ_A, FREQ_B), 8, 2, 8) | istft((FREQ_A, FREQ_B), 6, 3, 8, length=11) | istft((FREQ_A, FREQ_B), 6, 3, 8, None, None)
    istft((FREQ_A, FREQ_B), 8, 4, 8, window='hamming', center=False) | istft((FREQ_A, FREQ_B), 8, 4, 8, window=ones(8), length=30)
    polar(P, F) | polar(1.0, F) | histogram(0.5) | histogram(2, 3, (0, 4)) | polar([float('inf')], [1.0]) | view_as_complex(H) | view_as_complex(I[:, :2]) | view_as_real(Z) | view_as_real(F)
    depth_to_space(PIX, 2) | space_to_depth(PIX, 2) | depth_to_space(PIX, 2, 'channels_first')
    space_to_depth(PIX, 2, data_format='channels_first') | unfold(PIX, 2) | unfold(PIX[:0], 2) | unfold(PIX, (3, 2), padding=1)
    unfold(PIX, 2, dilation=(1, 3), stride=2) | unfold(PIX, (1, 3), 2, (0, 1), (3, 2)) | fold(COLS, (3, 4), 2)
    fold(COLS, (4, 5), 2, stride=2, padding=(0, 1)) | fold(COLS, (3, 4), (3, 2), padding=(1, 1), dilation=(1, 2), stride=(1, 3)) | psnr(F, P, 2.0)
    psnr(F, G, max_val=255) | rearrange(B, 'a b c -> c a b') | rearrange(B, 'a b (c d) -> (a c) b d', d=2)
    rearrange(IMG, 'b (h s) w c -> b h w (c s)', s=2) | rearrange(PIX, 'b (h1 h) (w1 w) c -> (b h1 w1) h w c', h1=2, w1=2)
    ctc_loss(TARGET, LOGITS, LEN3, LEN6) | ctc_loss(TARGET % 3, LOGITS, LEN3, LEN6, mask_index=3) | ctc_loss(TARGET, LOGITS, LEN3 * 0, LEN6) | ctc_loss(TARGET, LOGITS, LEN3, LEN6 * 0) | ctc_loss(TARGET, LOGITS, LEN3 * 0, LEN6 * 0) | ctc_loss(TARGET, LOGITS, LEN3, LEN6, mask_index=2)
    ctc_decode(LOGITS, LEN6) | ctc_decode(LOGITS, LEN6, merge_repeated=False, mask_index=2)
    ctc_decode(LOGITS, LEN6, strategy='beam_search', beam_width=4, top_paths=2, mask_index=3)
    multi_hot(J, num_tokens=5) | stack(B, axis=1) | vstack(B) | bincount(cast(J, 'uint8')[0]) | solve(stack([TRI, TRI]), H) | solve(stack([TRI, TRI]), ROW)
    solve_triangular(stack([TRI, TRI, TRI]), H)
""".replace("|", "\n").strip().split("\n")]
