import numpy as np

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

def meet_bfloat16() -> None: ...
