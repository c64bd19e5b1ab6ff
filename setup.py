"""Builds the Cython kernels into ecotf._kernels: `python setup.py build_ext --inplace`, or `pip install .`."""

import os
import platform
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_namespace_packages, find_packages, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("cython_ext")
SHARED = [str(path) for pattern in ("*.pxi", "*.pxd", "*.h") for path in sorted(SOURCES.glob(pattern))]
FLAGS = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-Wno-unused-function", "-Wno-psabi"]
EXTRA = os.environ.get("ECOTF_EXTRA_FLAGS", "").split()  # tests/kernels/sanitized.py sets it
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "show_performance_hints": False,
}
LEVELS = {
    "v2": ["-march=x86-64-v2"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512", "-mtune=skylake-avx512"],
}


def extension(name: str, flags: list[str]) -> Extension:
    """One kernel module, from cython_ext/<name>.pyx."""
    source = str(SOURCES / f"{name}.pyx")
    return Extension(
        f"ecotf._kernels.{name}",
        [source],
        include_dirs=[str(SOURCES)],
        extra_compile_args=FLAGS + flags + EXTRA,
        extra_link_args=[flag for flag in EXTRA if flag.startswith("-fsanitize")],
        depends=SHARED,
    )


def kernels() -> list[Extension]:
    """All kernel modules that this kind of machine can run; the spectrogram and the search once per instruction set."""
    levels = {"portable": [], **(LEVELS if platform.machine().lower() in ("x86_64", "amd64") else {})}
    names = {"cpu": [], "events": []}
    names |= {f"spectrogram_{level}": flags for level, flags in levels.items()}
    # Without fused products, so that every build ranks equally.
    names |= {f"search_{level}": [*flags, "-ffp-contract=off"] for level, flags in levels.items()}
    return [extension(name, flags) for name, flags in names.items()]


class BuildKernels(build_ext):
    """build_ext that says in one sentence what is missing."""

    def build_extensions(self) -> None:
        """Build all, after a look for the compiler."""
        compiler = (sysconfig.get_config_var("CC") or "gcc").split()[0]
        if self.compiler.compiler_type == "unix":
            compiler = self.compiler.compiler_so[0]
        if shutil.which(compiler) is None:
            sys.exit(f"no C compiler: {compiler!r} was not found; on Debian run: sudo apt install gcc python3-dev")
        super().build_extensions()


def cythonized() -> list[Extension]:
    """The kernel modules as C, written to build/."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        sys.exit("Cython is not installed; run: pip install -r requirements.txt")
    return cythonize(
        kernels(), build_dir="build/cython", include_path=[str(SOURCES)], compiler_directives=DIRECTIVES, quiet=True
    )


def requirements(name: str) -> list[str]:
    """What a requirements file lists, without its comments."""
    lines = (line.partition("#")[0].strip() for line in Path(name).read_text().splitlines())
    return [line for line in lines if line]


setup(
    name="ecotf",
    version=re.search(r'__version__ = "(.+)"', Path("ecotf/__init__.py").read_text()).group(1),
    python_requires=">=3.11,<3.12",
    install_requires=requirements("requirements.txt"),
    extras_require={
        "spark": requirements("requirements-spark.txt"),
        "torch": ["torch>=2.6"],
        "duckdb": ["duckdb>=1.1"],
        "umap": ["umap-learn>=0.5.7"],
        "hoplite": ["usearch>=2.16"],
    },
    # `ecotf flash` runs deploy/flash, which uploads deploy/recorder as it is.
    packages=find_packages(include=["ecotf", "ecotf.*"])
    + find_namespace_packages(include=["deploy.flash*", "deploy.recorder*"]),
    package_data={
        "ecotf": [
            "py.typed",
            "recipes/**/*.yaml",
            "models/embedders/*.yaml",
            "export/*/*.yaml",
            "export/c99/*/*.c",
            "regions/settings/*.yaml",
            "reports/page.*",
            "searching/page/*",
            "review/page/*",
        ],
        "deploy.flash": ["units/*"],
        "deploy.recorder": ["*.toml", "*.service", "**/*.toml"],
    },
    entry_points={"console_scripts": ["ecotf = ecotf.commands.main:run"]},
    ext_modules=cythonized(),
    cmdclass={"build_ext": BuildKernels},
)
