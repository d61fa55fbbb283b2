"""Makes metrics.json with scikit-learn, SciPy, scikit-image and torchmetrics 1.9 (pip install torch torchmetrics scikit-learn scipy scikit-image): metrics
fed in batches, on random and on degenerate input. Where two have a metric they must agree here, and the one that computes in float64 is written. Read by
test/train/metrics.test.ts."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import sklearn.metrics as sk
import torch
import torchmetrics.functional as tm
from scipy.stats import pearsonr
from skimage.metrics import peak_signal_noise_ratio

warnings.simplefilter("ignore")
torch.manual_seed(0)
torch.set_num_threads(1)

# Decimal places of what is computed in float64, and in float32.
DOUBLE, SINGLE = 12, 6
groups = []


def plain(value):
    if isinstance(value, torch.Tensor):
        return {"dtype": str(value.dtype).removeprefix("torch."), "values": value.tolist()}
    return value


def case(what, metric, args, batches, expected, other=None, digits=DOUBLE):
    expected = np.asarray(expected, dtype=float)
    if other is not None:
        np.testing.assert_allclose(expected, np.asarray(other, dtype=float), rtol=1e-4, atol=1e-6, err_msg=f"{metric}: {what}")
    value = [v if math.isfinite(v) else "NaN" if math.isnan(v) else "Infinity" for v in expected.ravel().tolist()]
    given = [[plain(x) for x in batch] for batch in batches]
    row = {"metric": metric, "what": what, "args": args, "expected": value if expected.ndim else value[0], "digits": digits}
    if groups and groups[-1]["batches"] == given:
        groups[-1]["cases"].append(row)
    else:
        groups.append({"batches": given, "cases": [row]})


def parts(*tensors, size=7):
    return list(zip(*(x.split(size) for x in tensors)))


# Numbers: random, far from zero, with zeros, one element, all alike.
def regression(what, predictions, targets, size=7):
    batches, (p, t) = parts(predictions, targets, size=size), (predictions.numpy(), targets.numpy())
    case(what, "MeanAbsoluteError", [], batches, sk.mean_absolute_error(t, p), tm.mean_absolute_error(predictions, targets))
    case(what, "MeanAbsolutePercentageError", [], batches, tm.mean_absolute_percentage_error(predictions, targets))
    pearson = pearsonr(p, t).statistic if len(p) > 1 else math.nan
    # torchmetrics computes with what rounding leaves of numbers that are all equal.
    other = None if math.isnan(pearson) else tm.pearson_corrcoef(predictions, targets)
    case(what, "PearsonCorrelation", [], batches, pearson, other)
    case(what, "ExplainedVariance", [], batches, sk.explained_variance_score(t, p))
    case(what, "R2Score", [], batches, sk.r2_score(t, p))


truth = torch.randn(30, dtype=torch.float64)
guess = truth + 0.5 * torch.randn(30, dtype=torch.float64) + 0.3
regression("random numbers", guess, truth)
# In steps of 2⁻¹⁰, so that the numbers themselves are exact.
steps = (truth * 1024).round() / 1024
regression("numbers far from zero", 2.0**20 + steps + (torch.arange(30) % 5) / 1024, 2.0**20 + steps)
regression("targets of zero", torch.tensor([1e-7, 0.5, 0.0]).double(), torch.tensor([0.0, 1.0, 0.0]).double())
regression("one element", torch.tensor([2.0]).double(), torch.tensor([4.0]).double())
alike = torch.full((9,), 0.1, dtype=torch.float64)  # the mean of three of them is not 0.1
regression("predictions that are all equal", alike, truth[:9].clone(), size=3)
regression("targets that are all equal", truth[:9].clone(), alike, size=3)
regression("an error that is always the same", 3 - alike, alike, size=3)
two, near = torch.randn(20, 2, dtype=torch.float64), torch.randn(20, 2, dtype=torch.float64)
for metric, score in ("R2Score", sk.r2_score), ("ExplainedVariance", sk.explained_variance_score):
    case("two outputs", metric, [{"outputs": 2}], parts(two + near, two), score(two, two + near))


# Classes: random, a class that never occurs, all predictions equal, one element.
def classes(what, k, predictions, targets):
    batches, (p, t) = parts(predictions, targets), (predictions.argmax(1) if predictions.is_floating_point() else predictions, targets)
    labels = list(range(k))
    for average in "macro", "micro", "weighted", "none":
        options = {"average": average}
        # scikit-learn counts a class that never occurs as 0.
        counted = np.union1d(t, p) if average == "macro" else labels
        kind = None if average == "none" else average
        expected = sk.jaccard_score(t, p, labels=counted, average=kind, zero_division=0)
        other = tm.jaccard_index(p, t, "multiclass", num_classes=k, average=average)
        case(f"{what}, {average}", "JaccardIndex", [k, options], batches, expected, other)
        specificity = tm.specificity(p, t, "multiclass", num_classes=k, average=average)
        case(f"{what}, {average}", "Specificity", [k, options], batches, specificity, digits=SINGLE)
    mcc = sk.matthews_corrcoef(t, p)
    case(what, "MatthewsCorrCoef", [k], batches, mcc, tm.matthews_corrcoef(p, t, "multiclass", num_classes=max(k, 3)))
    for weights in None, "linear", "quadratic":
        args = [k] if weights is None else [k, {"weights": weights}]
        kappa = sk.cohen_kappa_score(t, p, labels=labels, weights=weights)
        other = tm.cohen_kappa(p, t, "multiclass", num_classes=k, weights=weights)
        case(f"{what}, {weights or 'no'} weights", "CohenKappa", args, batches, kappa, other)


def draw(k, *shape):
    return torch.randint(0, k, shape, dtype=torch.int32)


labels = draw(4, 40)
scores = torch.randn(40, 4, dtype=torch.float64) + 1.5 * torch.nn.functional.one_hot(labels.long(), 4)
classes("random classes", 4, (scores * 64).round() / 64, labels)
classes("a class that never occurs", 5, draw(4, 20), draw(3, 20))
classes("all predictions equal", 3, torch.ones(10, dtype=torch.int32), draw(3, 10))
classes("one element", 3, torch.tensor([1], dtype=torch.int32), torch.tensor([1], dtype=torch.int32))
classes("two classes", 2, draw(2, 15), draw(2, 15))

# Segmentation: predictions [n, classes, height, width] and targets [n, height, width], one class ignored.
pixels, regions = (torch.randn(3, 4, 2, 5) * 64).round() / 64, draw(4, 3, 2, 5)
for ignored in 0, -1:
    targets = torch.where(torch.rand(regions.shape) < 0.3, torch.tensor(ignored, dtype=torch.int32), regions)
    options = {"num_classes": 4, "ignore_index": ignored}
    for average in "macro", "micro", "weighted", "none":
        expected = tm.jaccard_index(pixels, targets, "multiclass", average=average, **options)
        args = [4, {"average": average, "ignoreIndex": ignored}]
        case(f"pixels but for {ignored}, {average}", "JaccardIndex", args, parts(pixels, targets, size=2), expected, digits=SINGLE)
    for metric, value in ("MatthewsCorrCoef", tm.matthews_corrcoef), ("CohenKappa", tm.cohen_kappa):
        expected = value(pixels, targets, "multiclass", **options)
        case(f"pixels but for {ignored}", metric, [4, {"ignoreIndex": ignored}], parts(pixels, targets, size=2), expected, digits=SINGLE)
binary = draw(2, 12), draw(2, 12)
case("binary", "JaccardIndex", [2, {"average": "binary"}], parts(*binary), sk.jaccard_score(binary[1], binary[0]), tm.jaccard_index(*binary, "binary"))
case("binary", "Specificity", [2, {"average": "binary"}], parts(*binary), sk.recall_score(binary[1], binary[0], pos_label=0), tm.specificity(*binary, "binary"))

# Average precision: with and without ties, of several classes, one of which never occurs.
tied, isClass = torch.randint(0, 6, (40,)) / 8, draw(2, 40)
for what, score in ("random scores", torch.rand(40, dtype=torch.float64)), ("ties", tied), ("all scores equal", torch.full((40,), 0.5)):
    expected = sk.average_precision_score(isClass, score)
    other = tm.average_precision(score, isClass, "binary")
    case(what, "AveragePrecision", [], parts(score, isClass), expected, other)
case("one element", "AveragePrecision", [], parts(tied[:1], torch.ones(1, dtype=torch.int32)), 1, sk.average_precision_score([1], [0.5]))
case("columns", "AveragePrecision", [], parts(torch.stack([1 - tied, tied], 1), isClass), sk.average_precision_score(isClass, tied))
shares = torch.randint(0, 9, (40, 5)) / 8
each = [sk.average_precision_score(labels == c, shares[:, c]) for c in range(4)]
other = tm.average_precision(shares, labels.long(), "multiclass", num_classes=5)
case("five classes, one of which never occurs", "AveragePrecision", [{"classes": 5}], parts(shares, labels), np.mean(each), other)

# Texts: a language without spaces and characters of two code units among them; empty ones.
heard = [["this is the prediction", "there is an other  sample", "a word missing"], ["", "日本語 テキスト", "a🙂c"], ["words where none are"]]
spoken = [["this is the reference", "there is another one", "a word is missing"], ["nothing was heard", "日本 のテキスト", "abc"], [""]]
everything = sum(heard, []), sum(spoken, [])
for metric, rate in ("WordErrorRate", tm.word_error_rate), ("CharErrorRate", tm.char_error_rate):
    batches = list(zip(heard, spoken))
    case("texts", metric, [], batches, rate(*everything), digits=SINGLE)
    case("no reference has a word", metric, [], batches[2:], rate(heard[2], spoken[2]))
    case("nothing said, nothing heard", metric, [], [[[""], [""]]], rate([""], [""]))

texts = ["the cat sat on the mat", "the the the", "", "a cat", "police killed the gunman"]
references = [
    ["the cat is on the mat", "on the mat sat the cat"],
    ["the cat sat down"],
    ["something"],
    [""],
    ["police kill the gunman", "the gunman kill police"],
]
tokens = [text.split() for text in texts], [[text.split() for text in each] for each in references]
for order in 1, 2, 3, "L":
    key = f"rouge{order}"
    expected = tm.text.rouge_score(texts, references, rouge_keys=key)[f"{key}_fmeasure"]
    batches = [[tokens[0][:2], tokens[1][:2]], [tokens[0][2:], tokens[1][2:]]]
    case(f"texts, {order}", "Rouge", [order], batches, expected, digits=SINGLE)

# Images: noisy, of values up to 255, all equal; the smallest, and of several channels.
for what, shape, spread in ("one channel", (3, 1, 6, 9), 1), ("three channels", (2, 3, 12, 7), 255):
    image = (torch.rand(shape, dtype=torch.float64) * 256).floor() / 256 * spread
    noisy = (image + spread * torch.randint(-40, 41, shape) / 256).clamp(0, spread)
    batches = parts(noisy, image, size=2)
    psnr = peak_signal_noise_ratio(image.numpy(), noisy.numpy(), data_range=spread)
    case(what, "PeakSignalNoiseRatio", [spread], batches, psnr, tm.peak_signal_noise_ratio(noisy, image, float(spread)))
    ssim = tm.structural_similarity_index_measure(noisy, image, data_range=float(spread))
    case(what, "StructuralSimilarity", [spread], batches, ssim)
same = image[:1] / 255
case("the same image", "PeakSignalNoiseRatio", [1], [[same, same]], tm.peak_signal_noise_ratio(same, same, 1.0))
case("the same image", "StructuralSimilarity", [1], [[same, same]], tm.structural_similarity_index_measure(same, same, data_range=1.0))
black, white = torch.zeros(1, 1, 8, 8).double(), torch.ones(1, 1, 8, 8).double()
case("black and white", "StructuralSimilarity", [1], [[black, white]], tm.structural_similarity_index_measure(black, white, data_range=1.0))

lines = ",\n".join(json.dumps(group, ensure_ascii=False) for group in groups)
Path(__file__).with_name("metrics.json").write_text(f"[\n{lines}\n]\n")
