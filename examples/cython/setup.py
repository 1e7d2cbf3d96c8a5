from Cython.Build import cythonize
from setuptools import Extension, setup

import fastact

setup(ext_modules=cythonize([Extension("gated", ["gated.pyx"], include_dirs=[fastact.get_include()])]))
