"""Neural tangent kernels and linearized training, in JAX.

Reading order: activations, kernel_state, contractions, layers, convolutions, attention, networks, ensembles, gram,
streaming, iterative, empirical, structured, linearization, parameterization, regression, signal_propagation, spectra,
krylov, dynamics, training, diagnostics, laziness, lazy_limit, regimes, convolutional_regimes, results, timing,
datasets, plotting, interactive.
Everything public is reached flat, `import ntk_tutorial as ntk`; `ntk.datasets`, `ntk.regimes`,
`ntk.convolutional_regimes`, `ntk.results`, `ntk.plotting`, `ntk.interactive` and `ntk.exercises` stay modules.
"""

from . import _lazy, convolutional_regimes, datasets, exercises, regimes, results
from .activations import (
    Activation,
    abrelu,
    abs,
    by_quadrature,
    cos,
    erf,
    exp,
    gaussian,
    gelu,
    identity,
    leaky_relu,
    monomial,
    polynomial,
    rbf,
    relu,
    sign,
    sin,
    softplus,
    swish,
    tanh,
)
from .attention import SelfAttention
from .convolutions import AvgPool, Conv, GlobalAvgPool, GlobalSumPool, SumPool
from .diagnostics import (
    Estimate,
    ParameterChange,
    PowerLaw,
    RelativeScale,
    average_gradient_outer_product,
    centered_alignment,
    estimate,
    half_time,
    jackknife_error,
    kernel_alignment,
    linearization_error,
    log_moment_ratio,
    parameter_change,
    power_law,
    relative_change,
    relative_scale,
    rms,
    sharpness,
    target_alignment,
)
from .dynamics import (
    EnsemblePrediction,
    GradientFlow,
    HeavyBall,
    Prediction,
    gradient_descent,
    gradient_flow,
    heavy_ball,
    max_learning_rate,
    predict,
    predict_ensemble,
    predict_infinite,
    predict_linearized,
    solve_flow,
)
from .empirical import empirical_ntk, jacobian_contraction, layerwise, ntk_operator, ntk_vector_products
from .ensembles import draw, outputs, over_seeds, sweep
from .gram import as_matrix, diagonal, gram, trace_outputs
from .iterative import (
    KernelRegression,
    Nystrom,
    kernel_operator,
    nystrom,
    predict_by_cg,
    solve_kernel_regression,
    stored_operator,
)
from .kernel_state import KernelState
from .layers import Dense, Elementwise, Flatten, Identity, Layer, LayerNorm
from .laziness import LazyDistances, lazy_bounds, lazy_distances
from .lazy_limit import differential, jacobian, lazy_limit
from .linearization import linearize, scaled, scaled_increment, taylor_expand
from .networks import Residual, Serial, cnn, infinite_nngp, infinite_ntk, mlp, resnet
from .parameterization import (
    RateScan,
    as_parameterized,
    descent_by_layer,
    kernels_by_layer,
    scan_learning_rates,
    standard_rates,
)
from .regression import after_kernel_error, best_regression_error, regression_error
from .signal_propagation import (
    DepthKernels,
    FixedPoint,
    correlation_map,
    critical_scales,
    fixed_point,
    kernels_by_depth,
    random_correlations,
    random_relu_kernels,
    relu_kernel_fluctuation,
)
from .spectra import (
    Eigenmodes,
    Learned,
    LearningCurve,
    arc_cosine_eigenvalues,
    degeneracies,
    effective_dimension,
    eigenmodes,
    learn_each,
    learning_curve,
    relu_ntk_eigenvalues,
    sphere_eigenvalues,
    target_power,
)
from .streaming import stream_gram
from .structured import Explanation, structured
from .timing import median_seconds
from .training import Arrival, Trajectory, cross_entropy, hinge, squared_loss, train, train_until

plotting = _lazy.lazy(f"{__name__}.plotting")  # with matplotlib
interactive = _lazy.lazy(f"{__name__}.interactive")
__version__ = "0.1.0"
