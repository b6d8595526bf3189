#!/bin/bash
# pipewire_session.sh CMD...: run CMD in a PipeWire session of its own (dbus, pipewire, wireplumber, a display, the
# camera portal with leave given), without systemd and without touching the user's; exit with CMD's exit code.
# SESSION_LIMIT_S (default 60) ends it with 124.
set -u
RUN=$(mktemp -d); chmod 700 "$RUN"
trap 'kill "${XVFB:-}" 2>/dev/null; rm -rf "$RUN"' EXIT

Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp 3> "$RUN/display" > "$RUN/xvfb.log" 2>&1 & XVFB=$!
for _ in $(seq 100); do [ -s "$RUN/display" ] && break; sleep 0.1; done

cat > "$RUN/inside.sh" <<'EOI'
pipewire > "$HOME/pipewire.log" 2>&1 &
for _ in $(seq 100); do [ -S "$XDG_RUNTIME_DIR/pipewire-0" ] && break; sleep 0.1; done
wireplumber > "$HOME/wireplumber.log" 2>&1 &
for _ in $(seq 100); do wpctl status > /dev/null 2>&1 && break; sleep 0.1; done
gdbus call --session --dest org.freedesktop.impl.portal.PermissionStore \
  --object-path /org/freedesktop/impl/portal/PermissionStore \
  --method org.freedesktop.impl.portal.PermissionStore.SetPermission devices true camera '' "['yes']" > /dev/null
"$@"; rc=$?
kill $(jobs -p) 2>/dev/null
exit $rc
EOI
env -u WAYLAND_DISPLAY -u PIPEWIRE_REMOTE -u PIPEWIRE_RUNTIME_DIR -u DBUS_SESSION_BUS_ADDRESS \
  DISPLAY=":$(cat "$RUN/display")" XDG_RUNTIME_DIR="$RUN" HOME="$RUN" XDG_CURRENT_DESKTOP=GNOME DISABLE_RTKIT=1 \
  timeout -k 2 "${SESSION_LIMIT_S:-60}" dbus-run-session -- bash "$RUN/inside.sh" "$@" 2> >(grep -v dbus-daemon >&2)
