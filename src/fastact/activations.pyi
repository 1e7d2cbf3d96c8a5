from types import EllipsisType
from typing import Any, Literal, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from typing_extensions import Buffer

# A float array or scalar gives one of the same type (but an array without dimensions gives a scalar, as NumPy's
# operators do, whose stubs keep silent about it, too). `out` is what comes back. For all else, other libraries' arrays
# among it, the result is Any, as for NumPy's ufuncs.

class _HasArrayUfunc(Protocol):  # Dask, pandas, xarray, ndarray itself
    @property
    def __array_ufunc__(self) -> Any: ...

class _HasDLPack(Protocol):  # PyTorch
    def __dlpack__(self) -> Any: ...
    def __dlpack_device__(self) -> Any: ...

_In = ArrayLike | _HasArrayUfunc | _HasDLPack
_Out = TypeVar("_Out", bound=_HasArrayUfunc | _HasDLPack | Buffer)
_X = TypeVar("_X", bound=np.ndarray[Any, np.dtype[np.float16 | np.float32 | np.float64]]
             | np.float16 | np.float32 | np.float64)
_E = TypeVar("_E", bound=np.ndarray[Any, np.dtype[np.float16 | np.float32]] | np.float16 | np.float32)
_F = TypeVar("_F", bound=np.float16 | np.float32 | np.float64)
_New = tuple[None] | EllipsisType | None  # an array that is made; `...`: never a scalar
_Casting = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
_Order = Literal["K", "A", "C", "F"] | None

@overload
def sigmoid(
    x: _X, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _X: ...
@overload
def sigmoid(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def sigmoid(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def sigmoid_derivative(
    x: _X, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _X: ...
@overload
def sigmoid_derivative(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def sigmoid_derivative(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def sigmoid_backward(
    dy: NDArray[_F], y: NDArray[_F], out: None = None, *, where: ArrayLike = True, dtype: None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: Literal[True] = True,
) -> NDArray[_F]: ...
@overload
def sigmoid_backward(
    dy: _In, y: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def sigmoid_backward(
    dy: _In, y: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def tanh(
    x: _X, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _X: ...
@overload
def tanh(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def tanh(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def tanh_derivative(
    x: _X, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _X: ...
@overload
def tanh_derivative(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def tanh_derivative(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def tanh_backward(
    dy: NDArray[_F], y: NDArray[_F], out: None = None, *, where: ArrayLike = True, dtype: None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: Literal[True] = True,
) -> NDArray[_F]: ...
@overload
def tanh_backward(
    dy: _In, y: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def tanh_backward(
    dy: _In, y: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def relu(
    x: _X, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _X: ...
@overload
def relu(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def relu(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def relu_derivative(
    x: _X, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _X: ...
@overload
def relu_derivative(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def relu_derivative(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def relu_backward(
    dy: NDArray[_F], y: NDArray[_F], out: None = None, *, where: ArrayLike = True, dtype: None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: Literal[True] = True,
) -> NDArray[_F]: ...
@overload
def relu_backward(
    dy: _In, y: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def relu_backward(
    dy: _In, y: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu(
    x: _In, negative_slope: np.generic, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def leaky_relu(
    x: _X, negative_slope: float = 0.01, out: None = None, *, where: ArrayLike = True, dtype: None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: Literal[True] = True,
) -> _X: ...
@overload
def leaky_relu(
    x: _In, negative_slope: _In = 0.01, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def leaky_relu(
    x: _In, negative_slope: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu(
    x: _In, negative_slope: _In = 0.01, *, out: tuple[_Out] | _Out, where: ArrayLike = True,
    dtype: DTypeLike | None = None, casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu_derivative(
    x: _In, negative_slope: np.generic, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def leaky_relu_derivative(
    x: _X, negative_slope: float = 0.01, out: None = None, *, where: ArrayLike = True, dtype: None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: Literal[True] = True,
) -> _X: ...
@overload
def leaky_relu_derivative(
    x: _In, negative_slope: _In = 0.01, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def leaky_relu_derivative(
    x: _In, negative_slope: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu_derivative(
    x: _In, negative_slope: _In = 0.01, *, out: tuple[_Out] | _Out, where: ArrayLike = True,
    dtype: DTypeLike | None = None, casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu_backward(
    dy: _In, y: _In, negative_slope: np.generic, out: _New = None, *, where: ArrayLike = True,
    dtype: DTypeLike | None = None, casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def leaky_relu_backward(
    dy: NDArray[_F], y: NDArray[_F], negative_slope: float = 0.01, out: None = None, *, where: ArrayLike = True,
    dtype: None = None, casting: _Casting = "same_kind", order: _Order = "K", subok: Literal[True] = True,
) -> NDArray[_F]: ...
@overload
def leaky_relu_backward(
    dy: _In, y: _In, negative_slope: _In = 0.01, out: _New = None, *, where: ArrayLike = True,
    dtype: DTypeLike | None = None, casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def leaky_relu_backward(
    dy: _In, y: _In, negative_slope: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True,
    dtype: DTypeLike | None = None, casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu_backward(
    dy: _In, y: _In, negative_slope: _In = 0.01, *, out: tuple[_Out] | _Out, where: ArrayLike = True,
    dtype: DTypeLike | None = None, casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def exact_sigmoid(
    x: _E, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _E: ...
@overload
def exact_sigmoid(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def exact_sigmoid(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def exact_sigmoid_derivative(
    x: _E, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _E: ...
@overload
def exact_sigmoid_derivative(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def exact_sigmoid_derivative(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def exact_tanh(
    x: _E, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _E: ...
@overload
def exact_tanh(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def exact_tanh(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
@overload
def exact_tanh_derivative(
    x: _E, out: None = None, *, where: ArrayLike = True, dtype: None = None, casting: _Casting = "same_kind",
    order: _Order = "K", subok: Literal[True] = True,
) -> _E: ...
@overload
def exact_tanh_derivative(
    x: _In, out: _New = None, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> Any: ...
@overload
def exact_tanh_derivative(
    x: _In, out: tuple[_Out] | _Out, *, where: ArrayLike = True, dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind", order: _Order = "K", subok: bool = True,
) -> _Out: ...
