#!/bin/sh
# Installs Chromium's headless shell and chromedriver, without the rest of Chromium. Run `apt-get update` before.
#
# The dependencies of these packages bring the browser with windows, and tools of X11 with Mesa and LLVM. A login uses
# none of them. So apt installs only the other dependencies, and the packages themselves are unpacked. They have no
# scripts that would have to run.
set -eu

set -- chromium-headless-shell chromium-common chromium-driver
left_out="chromium|chromium-common|x11-utils|xdg-utils"

folder=$(mktemp --directory)
cd "$folder"
apt-get download "$@"
for file in *.deb; do
    dpkg-deb --field "$file" Depends >> dependencies
    dpkg-deb --extract "$file" /
done
# One dependency a line, with its version. They bring a font, without which the shell crashes.
sed 's/, */\n/g' dependencies | sort --unique | grep --invert-match --extended-regexp "^($left_out)( |$)" > needed
xargs --delimiter='\n' apt-get satisfy --yes --no-install-recommends < needed
cd /
rm -r "$folder"

# Only the browser with windows and developers of graphics need these files.
cd /usr/lib/chromium
rm -f resources.pak chrome_*_percent.pak libVkLayer_* libVkICD_*

# They start only if no library is missing.
chromium-headless-shell --version
chromedriver --version
