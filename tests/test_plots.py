"""fastact.plots: what lies in the axes is what was computed or measured, and can be read on light and dark pages."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest
from contrast import contrast

from fastact import _reference, nn, plots
from fastact.diagnostics import Diagnosis, LayerMeasures, Monitor, diagnose

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fastact import _drawing

ACTIVATIONS = ["sigmoid", "tanh", "relu", "leaky_relu"]


@pytest.fixture(scope="module")
def trained():
    """For each of two activations a network's history, monitor, and diagnosis."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 6))
    y = (X[:, 0] > 0).astype(int)
    found = {}
    for name in ("tanh", "relu"):
        layers = [nn.Dense(6, 12, activation=name), nn.Dense(12, 8, activation=name), nn.Dense(8, 2)]
        model = nn.Sequential(layers, seed=0)
        monitor = Monitor()
        history = model.fit(X, y, loss="softmax_cross_entropy", optimizer="adam", epochs=4, callbacks=[monitor],
                            validation_data=(X[:50], y[:50]))  # fmt: skip
        found[name] = history, monitor, diagnose(model, X, y)
    return found


def draw_all(trained, new_axes=lambda: None):
    """Every kind of figure, as (name, axes); each on the axes that ``new_axes`` gives, or on one of its own."""
    histories, monitors, diagnoses = ({name: of[i] for name, of in trained.items()} for i in range(3))
    yield from ((f"activation {name}", plots.activations([name], ax=new_axes())[0]) for name in ACTIVATIONS)
    yield "gradient_norms", plots.gradient_norms(diagnoses, ax=new_axes())
    yield "weight gradients", plots.gradient_norms(diagnoses, "weight", ax=new_axes())
    yield "derivative_map", plots.derivative_map(monitors["tanh"], ax=new_axes())
    yield from ((f"units {name}", plots.units(monitor, ax=new_axes())) for name, monitor in monitors.items())
    yield "loss", plots.training_curves(histories, ax=new_axes())
    yield "accuracy", plots.training_curves(histories, "accuracy", ax=new_axes())
    steep = nn.History(loss=[1e33, 1e-9], val_loss=[1e33, 1.0])
    yield "four losses", plots.training_curves(dict.fromkeys(ACTIVATIONS, steep), ax=new_axes())
    names = ["sigmoid, 10 layers", "tanh, 10 layers", "leaky_relu, slope 0.01"]
    yield "long names", plots.training_curves(dict.fromkeys(names, steep), ax=new_axes())


def line_of(ax, label):
    (line,) = [line for line in ax.get_lines() if line.get_label() == label]
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


# --- what is drawn


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_the_functions(name):
    slope = (0.25,) if name == "leaky_relu" else ()
    (ax,) = plots.activations([name], negative_slope=0.25, limit=8.0)
    for line, function in zip(ax.get_lines(), (name, f"{name}_derivative"), strict=True):
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        np.testing.assert_allclose(y, getattr(_reference, function)(x, *slope), rtol=1e-14)
        assert (x[0], x[-1]) == (-8.0, 8.0) and len(x) > 250
    assert ax.get_lines()[1].get_label() == "φ′"


@pytest.mark.parametrize(
    ("name", "threshold", "regions"),
    [
        # y (1 - y) = t/4 where y = (1 + √(1 - t)) / 2;  1 - y² = t where y = √(1 - t)
        ("sigmoid", 0.05, [(-8.0, -4.3567), (4.3567, 8.0)]),
        ("sigmoid", 0.5, [(-8.0, -1.7627), (1.7627, 8.0)]),
        ("tanh", 0.05, [(-8.0, -2.1783), (2.1783, 8.0)]),
        ("relu", 0.05, [(-8.0, 0.0)]),
        ("leaky_relu", 0.05, []),
    ],
)
def test_shaded_regions(name, threshold, regions):
    (ax,) = plots.activations([name], limit=8.0, saturation_threshold=threshold)
    spans = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches)
    np.testing.assert_allclose(np.array(spans).ravel(), np.array(regions).ravel(), atol=8 / 150)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(labels) == 2 + bool(regions)
    assert not regions or ("dead" if name == "relu" else f"φ′ < {100 * threshold:g} %") in labels[2]


def test_four_panels():
    panels = plots.activations()
    assert len(panels) == 4 and panels[0].figure.axes == panels
    assert [ax.get_lines()[0].get_label() for ax in plots.activations(["tanh", "relu", "sigmoid"])] == [
        "φ = tanh", "φ = ReLU", "φ = sigmoid"]  # fmt: skip


@pytest.mark.parametrize("quantity", ["activation", "weight"])
def test_gradient_norms(trained, quantity):
    diagnoses = {name: diagnosis for name, (_, _, diagnosis) in trained.items()}
    ax = plots.gradient_norms(diagnoses, quantity)
    assert ax.get_yscale() == "log"
    for name, diagnosis in diagnoses.items():
        x, y = line_of(ax, name)
        assert x.tolist() == [0, 1, 2]
        assert y.tolist() == [getattr(layer, f"{quantity}_gradient_norm") for layer in diagnosis.layers]
    assert plots.gradient_norms(diagnoses["tanh"]).get_legend() is None


def test_a_gradient_of_zero_is_marked():
    norms = [0.0, 0.0, 1e-3, 1.0]
    layers = [LayerMeasures(i, "", "relu", 4, activation_gradient_norm=norm) for i, norm in enumerate(norms)]
    ax = plots.gradient_norms({"relu": Diagnosis(layers, 10)})
    np.testing.assert_array_equal(line_of(ax, "relu")[1], [np.nan, np.nan, 1e-3, 1.0])
    assert line_of(ax, "_exactly 0")[0].tolist() == [0, 1]


def test_derivative_map(trained):
    _, monitor, _ = trained["tanh"]
    ax = plots.derivative_map(monitor)
    (image,) = ax.get_images()
    np.testing.assert_array_equal(image.get_array(), monitor.array("derivative_mean")[:, :2].T)
    assert image.get_extent() == [0.5, 4.5, -0.5, 1.5] and image.get_clim() == (0.0, 1.0)
    assert ax.figure.axes[-1].get_ylabel() == "mean of φ′"


def test_units(trained):
    _, monitor, _ = trained["relu"]
    ax = plots.units(monitor)
    assert {line.get_label() for line in ax.get_lines()} == {"dead", "outputs exactly 0"}
    for label, name in (("dead", "dead"), ("outputs exactly 0", "zeros")):
        x, y = line_of(ax, label)
        assert x.tolist() == [1, 2, 3, 4]
        np.testing.assert_allclose(y, monitor.array(name)[:, :2] @ [60.0, 40.0])  # 12 and 8 units
    _, monitor, _ = trained["tanh"]
    assert [line.get_label() for line in plots.units(monitor).get_lines()] == ["saturated"]


def test_training_curves(trained):
    histories = {name: history for name, (history, _, _) in trained.items()}
    ax = plots.training_curves(histories, "accuracy")
    drawn = ax.get_lines()
    for (name, history), lines in zip(histories.items(), (drawn[:2], drawn[2:]), strict=True):
        assert [line.get_ydata().tolist() for line in lines] == [history["accuracy"], history["val_accuracy"]]
        assert [line.get_linestyle() for line in lines] == ["-", "--"] and lines[0].get_label() == name
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["tanh", "relu", "validation"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "accuracy")


# --- how it looks


@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_contrast_on_light_and_dark_pages(page):
    assert {color: contrast(color, page) for color in _drawing.COLORS if contrast(color, page) < 3.0} == {}
    assert contrast(_drawing.TEXT, page) >= 4.3


def test_lines_differ_in_grey():
    """No two lines have the same marker, up to four, and none the same colour and marker, up to 16."""
    for names in (ACTIVATIONS, list("abcd"), ["relu", "a", "tanh", "b"]):
        assert len({style["marker"] for style in _drawing.styles(names).values()}) == 4
    assert len({tuple(style.items()) for style in _drawing.styles(list("abcdefghijklmnop")).values()}) == 16


def test_every_figure_is_labelled_and_no_legend_covers_a_line(trained):
    for name, ax in draw_all(trained):
        renderer = FigureCanvasAgg(ax.figure).get_renderer()
        ax.figure.draw(renderer)
        assert ax.get_xlabel() and ax.get_ylabel(), name
        assert ax.figure.get_facecolor()[3] == 0.0 and ax.get_facecolor()[3] == 0.0, name
        width, height = ax.figure.bbox.size
        if legend := ax.get_legend():
            box = legend.get_window_extent(renderer)
            assert box.y0 >= ax.bbox.y1 and box.y1 <= height and box.x1 <= width, name
        for text in (ax.xaxis.label, ax.yaxis.label):
            box = text.get_window_extent(renderer)
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, name


def test_axes_of_the_user(trained):
    """They are drawn on, keep their colours, and no other figure is made."""
    given = []

    def new_axes():
        given.append(Figure(facecolor="white").subplots())
        return given[-1]

    for name, ax in draw_all(trained, new_axes):
        assert ax is given[-1] and ax.figure.get_facecolor() == (1.0, 1.0, 1.0, 1.0), name
    ax = Figure().subplots()
    ax.xaxis.label.set_color("#ff0000")
    plots.training_curves(nn.History(loss=[1.0, 0.5]), ax=ax)
    assert tuple(ax.get_legend().get_texts()[0].get_color()) == (1.0, 0.0, 0.0, 1.0)


def test_no_figure_is_kept():
    """pyplot is not even imported, and a figure that is forgotten is freed."""
    program = "import sys; from fastact import plots; plots.activations(); sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    figure = weakref.ref(plots.activations(["tanh"])[0].figure)
    gc.collect()
    assert figure() is None


def test_svg_is_the_same_each_time():
    texts = [_drawing.svg(plots.activations()[0].figure, "activations") for _ in range(2)]
    assert texts[0] == texts[1] and "<text" in texts[0] and len(texts[0]) < 60_000


# --- errors


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: plots.activations(["swish"]), ValueError, "names must be one of 'sigmoid', .* got 'swish'"),
        (lambda: plots.activations([]), ValueError, "names must hold the name of an activation, got none"),
        (lambda: plots.activations(limit=0), ValueError, "limit must be above 0"),
        (lambda: plots.activations(saturation_threshold=1.0), ValueError, "saturation_threshold must be .* below 1"),
        (lambda: plots.activations(negative_slope=float("nan")), ValueError, "negative_slope"),
        (lambda: plots.activations(ax=[None]), ValueError, "ax must hold one axes for each of sigmoid, .*, got 1"),
        (lambda: plots.gradient_norms({}), ValueError, "diagnoses must hold at least one"),
        (lambda: plots.gradient_norms({}, "bias"), ValueError, "quantity must be one of 'activation', 'weight'"),
        (lambda: plots.derivative_map(Monitor()), ValueError, "the monitor has seen no finished epoch"),
        (lambda: plots.units(Monitor()), ValueError, "the monitor has seen no finished epoch"),
        (lambda: plots.activations(negative_slope="a"), TypeError, "negative_slope must be a number, got 'a'"),
        (lambda: plots.gradient_norms([1.0]), TypeError, "diagnoses must be a Diagnosis, got list"),
        (lambda: plots.gradient_norms({"a": None}), TypeError, r"diagnoses\['a'\] must be a Diagnosis, got NoneType"),
        (lambda: plots.derivative_map({}), TypeError, "monitor must be a Monitor, got dict"),
        (lambda: plots.units(nn.History()), TypeError, "monitor must be a Monitor, got History"),
        (lambda: plots.training_curves([0.5]), TypeError, "histories must be a History, got list"),
        (lambda: plots.training_curves({"loss": [0.5]}), TypeError, r"histories\['loss'\] must be a History, got list"),
        (lambda: plots.training_curves({}), ValueError, "histories must hold at least one"),
        (lambda: plots.training_curves({"a": nn.History()}), ValueError, "the history of a has no finished epoch"),
        (lambda: plots.training_curves(nn.History(loss=[1.0]), "accuracy"), ValueError, "metric must be one of 'loss'"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_network_without_activations():
    monitor = Monitor()
    model = nn.Sequential([nn.Dense(2, 1)], seed=0)
    model.fit(np.eye(2), np.ones((2, 1)), loss="mse", optimizer="sgd", callbacks=[monitor])
    for draw in (plots.derivative_map, plots.units):
        with pytest.raises(ValueError, match="no layer of the network has an activation"):
            draw(monitor)


def test_missing_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "fastact\[plot\]"'):
        plots.activations()


def test_derivative_map_leaves_layers_without_activation_blank():
    layers = [nn.Dense(4, 6, "relu"), nn.Dense(6, 5), nn.Dense(5, 5), nn.Dense(5, 6, "sigmoid"), nn.Dense(6, 2)]
    monitor = Monitor()
    rng = np.random.default_rng(0)
    nn.Sequential(layers, seed=0).fit(
        rng.standard_normal((64, 4)), rng.integers(0, 2, 64), loss="softmax_cross_entropy", optimizer="sgd", epochs=2,
        callbacks=[monitor],
    )  # fmt: skip
    (image,) = plots.derivative_map(monitor).images
    means = np.ma.filled(image.get_array(), np.nan)
    assert image.get_extent() == [0.5, 2.5, -0.5, 3.5] and means.shape == (4, 2)
    np.testing.assert_array_equal(means[[0, 3]], monitor.array("derivative_mean")[:, [0, 3]].T)
    assert np.isnan(means[[1, 2]]).all()
