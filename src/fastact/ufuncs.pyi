import numpy as np

__all__ = [
    "exact_sigmoid",
    "exact_sigmoid_derivative",
    "exact_tanh",
    "exact_tanh_derivative",
    "leaky_relu",
    "leaky_relu_backward",
    "leaky_relu_derivative",
    "meet_bfloat16",
    "relu",
    "relu_backward",
    "relu_derivative",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_derivative",
    "tanh",
    "tanh_backward",
    "tanh_derivative",
]

sigmoid: np.ufunc
sigmoid_derivative: np.ufunc
sigmoid_backward: np.ufunc
tanh: np.ufunc
tanh_derivative: np.ufunc
tanh_backward: np.ufunc
relu: np.ufunc
relu_derivative: np.ufunc
relu_backward: np.ufunc
leaky_relu: np.ufunc
leaky_relu_derivative: np.ufunc
leaky_relu_backward: np.ufunc
exact_sigmoid: np.ufunc
exact_sigmoid_derivative: np.ufunc
exact_tanh: np.ufunc
exact_tanh_derivative: np.ufunc

def meet_bfloat16() -> None: ...
