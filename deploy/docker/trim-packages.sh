#!/bin/sh
# Removes from a virtual environment what no program of the image reads, a third of it: trim-packages.sh FOLDER
#
# The versions are locked. If an upgrade moves a file, `rm` fails, and the build with it.
set -eu

# pydeck draws maps, of which the dashboard has none. pip comes last, since it removes itself.
"$1/bin/pip" uninstall --quiet --yes pydeck setuptools pip

cd "$1"/lib/python3*/site-packages

# Selenium's programs that look for a driver. The driver is installed: find_driver() in scraper/login/chrome.py.
rm -r selenium/webdriver/common/linux-* selenium/webdriver/common/macos selenium/webdriver/common/windows

# Arrow's connections to other servers: Flight and S3.
rm pyarrow/libarrow_flight.* pyarrow/libarrow_python_flight.* pyarrow/_flight.*.so pyarrow/libarrow_s3.* pyarrow/_s3fs.*.so

# Tests of the packages, and what only compilers and type checkers read. The texts of licenses stay.
find . -depth -type d \( -name tests -o -name include \) ! -path '*.dist-info/*' -exec rm -r {} +
find . -type f \( -name '*.h' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' -o -name '*.pyx' \) -delete
