#!/bin/sh
# Compares the libraries that the console brings with the npm packages that they come from; with "renew" it writes them anew, after a version was
# changed in SOURCES.txt. npm checks what it fetches against the registry's hashes.
set -eu
vendor=services/console/assets/vendor
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
grep -v '^#' "$vendor/SOURCES.txt" | {
	stale=0
	while read -r file package path; do
		if [ ! -d "$work/$package" ]; then
			mkdir -p "$work/$package"
			(cd "$work/$package" && npm pack --silent "$package" >/dev/null && tar -xzf ./*.tgz)
		fi
		if [ "${1:-}" = renew ]; then
			cp "$work/$package/package/$path" "$vendor/$file"
		fi
		if cmp -s "$work/$package/package/$path" "$vendor/$file"; then
			echo "$(sha256sum "$vendor/$file" | cut -c1-16)  $file is $path of $package"
		else
			echo "$file is not $path of $package: make vendored RENEW=1 fetches it" >&2
			stale=1
		fi
	done
	exit $stale
}
