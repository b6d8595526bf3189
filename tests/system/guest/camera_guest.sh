#!/bin/bash
# camera_guest.sh - boot a throw-away QEMU guest that sees this machine's whole file system
# (read-only 9p + tmpfs overlay) and has a real webcam driver (vivid) and real virtual cameras
# (v4l2loopback); run a command in it, in the current directory, and exit with its exit code.
#
#   camera_guest.sh prepare              download kernel + build module + initramfs (once, cached)
#   camera_guest.sh run [opts] -- CMD    boot, run CMD, power off
#       --rw DIR      share DIR read-write with the guest (repeatable, max 4)
#       --timeout S   give up after S seconds (exit 124); default 170
#       --mem MB      guest memory, default 4096       --smp N   default 2
#       --vivid ARGS / --loop ARGS   module parameters instead of the defaults
#       (VCAM_CPU=Nehalem: no AVX/FMA on purpose, TCG emulates those 3-20x slower)
#       -v            show the guest's kernel log on failure
# In the guest: /dev/video0 = vivid webcam (YUYV.. 320x180..3840x2160), /dev/video10 and
# /dev/video11 = v4l2loopback ("streammatte", "streammatte-2"), lo is up, root, no network.
set -euo pipefail
CACHE=${VCAM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streammatte-guest}
KPKG=${VCAM_KERNEL:-$( (apt-cache depends linux-image-amd64 2>/dev/null || true) | awk '$1=="Depends:"{print $2; exit}')}
if [ -z "$KPKG" ]; then KPKG=$(ls -d "$CACHE"/*/.ready 2>/dev/null | tail -1); KPKG=${KPKG%/.ready}; KPKG=${KPKG##*/}; fi
[ -n "$KPKG" ] || { echo "camera-guest: run apt-get update first" >&2; exit 2; }
ABI=${KPKG#linux-image-}
K=$CACHE/$ABI

prepare() {
  [ -e "$K/.ready" ] && return 0
  command -v qemu-system-x86_64 >/dev/null && [ -x /bin/busybox ] && [ -d "/usr/src/linux-headers-$ABI" ] ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=600 \
      qemu-system-x86 seabios busybox-static kmod cpio gcc make "linux-headers-$ABI" >/dev/null
  rm -rf "$K"; mkdir -p "$K/dl"; ( cd "$K/dl"
    apt-get download -qq -o APT::Sandbox::User=root "linux-image-$ABI" v4l2loopback-dkms
    dpkg-deb -x linux-image-*.deb ..; dpkg-deb -x v4l2loopback-dkms_*.deb ../src; )
  cp "$K"/boot/vmlinuz-* "$K/vmlinuz"
  local src; src=$(echo "$K"/src/usr/src/v4l2loopback-*)
  make -s -C "/usr/src/linux-headers-$ABI" M="$src" modules >"$K/make.log" 2>&1 || { cat "$K/make.log" >&2; return 1; }
  install -D -t "$K/lib/modules/$ABI/extra" "$src/v4l2loopback.ko"
  depmod -b "$K" "$ABI"
  local R; R=$(mktemp -d); mkdir -p "$R"/{bin,dev,proc,sys,lower,rw,newroot,mod}; cp /bin/busybox "$R/bin/"
  for m in virtio_pci virtio_console virtio_rng 9pnet_virtio 9p overlay; do
    modprobe -d "$K" -S "$ABI" --show-depends $m | awk '$1=="insmod"{print $2}'; done | awk '!s[$0]++' |
    while read -r f; do cp "$f" "$R/mod/"; basename "$f"; done > "$R/order"
  cat > "$R/init" <<'EOI'
#!/bin/busybox sh
/bin/busybox --install -s /bin
die() { echo "init: $*"; poweroff -f; }
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read m; do insmod /mod/$m; done < /order
P=trans=virtio,version=9p2000.L,msize=524288
mount -t 9p -o $P,cache=loose,ro root /lower || die "no 9p root"
mount -t tmpfs -o size=75% rw /rw; mkdir /rw/u /rw/w
mount -t overlay -o lowerdir=/lower,upperdir=/rw/u,workdir=/rw/w overlay /newroot || die "no overlay"
N=/newroot; umount /proc; mount -t proc proc $N/proc; mount --move /sys $N/sys; mount --move /dev $N/dev
mkdir -p $N/dev/shm $N/dev/pts; mount -t tmpfs shm $N/dev/shm; mount -t devpts pts $N/dev/pts; mount -t tmpfs run $N/run
mkdir -p $N/run/vcam; mount -t 9p -o $P,cache=none job $N/run/vcam || die "no job share"
exec switch_root $N /bin/bash /run/vcam/guest.sh
EOI
  chmod +x "$R/init"; ( cd "$R" && find . | cpio -o -H newc --quiet | gzip -1 ) > "$K/initrd.gz"; rm -rf "$R" "$K/dl"
  touch "$K/.ready"
}

run() {
  local rw=() limit=170 mem=4096 smp=2 verbose=0
  local vivid="n_devs=1 node_types=0x1 vid_cap_nr=0 num_inputs=1 input_types=0 no_error_inj=1 allocators=0"
  local loop="devices=2 video_nr=10,11 card_label=streammatte,streammatte-2 exclusive_caps=1,1 max_buffers=4"
  while [ $# -gt 0 ]; do case $1 in
    --rw) rw+=("$(realpath "$2")"); shift 2;; --timeout) limit=$2; shift 2;; --mem) mem=$2; shift 2;;
    --smp) smp=$2; shift 2;; --vivid) vivid=$2; shift 2;; --loop) loop=$2; shift 2;; -v) verbose=1; shift;;
    --) shift; break;; *) break;; esac; done
  [ $# -gt 0 ] || { echo "no command" >&2; return 2; }
  prepare
  local J; J=$(mktemp -d "$CACHE/job.XXXXXX"); local args=() n=0 d
  printf '%q ' "$@" > "$J/cmd"; export -p > "$J/env"; printf '%s' "$PWD" > "$J/cwd"
  {
    echo 'set -- /dev/vport*p1; exec </dev/null >"$1" 2>&1'
    echo 'mount -t debugfs d /sys/kernel/debug 2>/dev/null; ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || busybox ifconfig lo 127.0.0.1 up; echo 1 >/proc/sys/kernel/sysrq; hostname vcam-guest'
    for d in ${rw[@]+"${rw[@]}"}; do
      args+=(-fsdev "local,id=rw$n,path=$d,security_model=none,multidevs=remap" -device "virtio-9p-pci,fsdev=rw$n,mount_tag=rw$n")
      printf 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=mmap rw%d %q\n' $n "$d"; n=$((n+1)); done
    [ -n "$loop" ] && echo "modprobe -d $K -S $ABI v4l2loopback $loop"
    [ -n "$vivid" ] && echo "modprobe -d $K -S $ABI vivid $vivid"
    cat <<'EOG'
. /run/vcam/env; cd "$(cat /run/vcam/cwd)"; export VCAM_GUEST=1
rm -f /run/vcam/rc; cut -d' ' -f1 /proc/uptime > /run/vcam/up
bash -c "$(cat /run/vcam/cmd)"; rc=$?
sync; echo $rc > /run/vcam/rc; sleep 0.1; echo o > /proc/sysrq-trigger; sleep 60
EOG
  } > "$J/guest.sh"
  qemu-system-x86_64 -accel tcg,thread=multi -cpu ${VCAM_CPU:-Nehalem} -smp "$smp" -m "$mem" -nodefaults -no-user-config \
    -display none -monitor none -no-reboot -serial "file:$J/boot.log" \
    -kernel "$K/vmlinuz" -initrd "$K/initrd.gz" \
    -append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off random.trust_cpu=on tsc=reliable nowatchdog" \
    -device virtio-rng-pci -device virtio-serial-pci -chardev file,id=out,path=/dev/fd/9 -device virtserialport,chardev=out \
    -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=root,mount_tag=root \
    -fsdev "local,id=job,path=$J,security_model=none" -device virtio-9p-pci,fsdev=job,mount_tag=job \
    ${args[@]+"${args[@]}"} </dev/null 9> >(cat) &
  local pid=$! t=0
  while kill -0 $pid 2>/dev/null; do
    sleep 0.2; t=$((t+1)); if [ $t -gt $((limit*5)) ]; then kill $pid 2>/dev/null || true; wait $pid 2>/dev/null || true
      echo "camera-guest: timed out after ${limit}s" >&2; echo 124 > "$J/rc"; break; fi; done
  wait $pid 2>/dev/null || true
  local rc; rc=$(cat "$J/rc" 2>/dev/null || echo 125)
  if [ "$rc" = 125 ] || { [ "$rc" != 0 ] && [ $verbose = 1 ]; }; then echo "--- guest kernel log"; tail -30 "$J/boot.log"; fi >&2
  rm -rf "$J"; return "$rc"
}

case ${1:-} in
  prepare) prepare;;
  run) shift; run "$@";;
  *) sed -n '2,17p' "$0"; exit 2;;
esac
