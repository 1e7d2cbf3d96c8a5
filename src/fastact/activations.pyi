from typing import Any, Literal, TypeVar, overload

from numpy.typing import ArrayLike, DTypeLike

_Out = TypeVar("_Out")
_Casting = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
_Order = Literal["K", "A", "C", "F"]

# As for NumPy's ufuncs: with `out` that object comes back, else a scalar, an array, or an array of another library,
# which no annotation can tell apart.

@overload
def sigmoid(
    x: ArrayLike,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def sigmoid(
    x: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def sigmoid_derivative(
    x: ArrayLike,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def sigmoid_derivative(
    x: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def sigmoid_backward(
    dy: ArrayLike,
    y: ArrayLike,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def sigmoid_backward(
    dy: ArrayLike,
    y: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def tanh(
    x: ArrayLike,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def tanh(
    x: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def tanh_derivative(
    x: ArrayLike,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def tanh_derivative(
    x: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def tanh_backward(
    dy: ArrayLike,
    y: ArrayLike,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def tanh_backward(
    dy: ArrayLike,
    y: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def relu(
    x: ArrayLike,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def relu(
    x: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def relu_derivative(
    x: ArrayLike,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def relu_derivative(
    x: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def relu_backward(
    dy: ArrayLike,
    y: ArrayLike,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def relu_backward(
    dy: ArrayLike,
    y: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu(
    x: ArrayLike,
    negative_slope: ArrayLike = 0.01,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def leaky_relu(
    x: ArrayLike,
    negative_slope: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu(
    x: ArrayLike,
    negative_slope: ArrayLike = 0.01,
    *,
    out: _Out,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu_derivative(
    x: ArrayLike,
    negative_slope: ArrayLike = 0.01,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def leaky_relu_derivative(
    x: ArrayLike,
    negative_slope: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu_derivative(
    x: ArrayLike,
    negative_slope: ArrayLike = 0.01,
    *,
    out: _Out,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu_backward(
    dy: ArrayLike,
    y: ArrayLike,
    negative_slope: ArrayLike = 0.01,
    out: None = None,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> Any: ...
@overload
def leaky_relu_backward(
    dy: ArrayLike,
    y: ArrayLike,
    negative_slope: ArrayLike,
    out: _Out,
    *,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
@overload
def leaky_relu_backward(
    dy: ArrayLike,
    y: ArrayLike,
    negative_slope: ArrayLike = 0.01,
    *,
    out: _Out,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    subok: bool = True,
) -> _Out: ...
