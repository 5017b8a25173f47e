# SPDX-License-Identifier: Apache-2.0
# Completion of glovebox(1) for bash.

# Replies with the values that an option takes; fails where it takes none that
# are known.
_glovebox_value() {
    local word=$2

    case $1 in
    --wipe) mapfile -t COMPREPLY < <(compgen -W 'never per-call on-error' -- "$word") ;;
    --isolation) mapfile -t COMPREPLY < <(compgen -W 'auto microvm process wasm remote' -- "$word") ;;
    --memory) mapfile -t COMPREPLY < <(compgen -W '64M 256M 1G' -- "$word") ;;
    -t | --timeout) mapfile -t COMPREPLY < <(compgen -W '500ms 5s 1m' -- "$word") ;;
    --disk | --output-limit | --message-limit)
        mapfile -t COMPREPLY < <(compgen -W '64M 1G' -- "$word")
        ;;
    --mount)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames -o nospace
        ;;
    --root | --folder | --cache | --scripts | --store)
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        compopt -o filenames
        ;;
    --config | --for | --file | --remote-token | --remote-ca | --auth-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames
        ;;
    --platform) mapfile -t COMPREPLY < <(compgen -W 'linux/amd64 linux/arm64' -- "$word") ;;
    --silence | --max-size | --max-ratio | --name | --image) ;;
    --env | --user | --workdir | --cpu | --threads | --processes | --files | --script-config) ;;
    --repeat | --parallel | --max | --width | --workers | --sample | --remote | --remote-heartbeat | --secret) ;;
    --svg | --trace | --events | --state)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames
        ;;
    -i | --in | -o | --out) ;;
    *) return 1 ;;
    esac
}

# What follows the "=" at `at`, which parts --root and debian, or port and file;
# for @FILE it is "=@".
_glovebox_assigned() {
    local at=$1 word=$2
    local option=${COMP_WORDS[at - 2]}

    _glovebox_value "${COMP_WORDS[at - 1]}" "$word" && return
    [ "$option" != = ] || option=${COMP_WORDS[at - 3]}
    case $option${COMP_WORDS[at]} in
    -i=@ | --in=@ | -o= | --out=)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames
        ;;
    esac
}

_glovebox() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words=
    COMPREPLY=()

    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W \
            'run inspect flow exec build image cache config up down ps logs status doctor nodes bench help --version --help' -- "$word")
        return
    fi

    # In bash it is a word of its own, and the current one with nothing behind.
    case $word:$before in
    =:* | =@:*)
        _glovebox_assigned "$COMP_CWORD" ''
        return
        ;;
    *:= | *:=@)
        _glovebox_assigned $((COMP_CWORD - 1)) "$word"
        return
        ;;
    esac

    case $command:$word in
    run:-* | inspect:-* | exec:-* | image:-* | cache:-* | config:-* | flow:-* | up:-* | down:-* | ps:-* | logs:-* | status:-*) ;;
    run:* | inspect:* | exec:* | image:* | cache:* | config:* | flow:* | up:* | down:* | ps:* | logs:* | status:*) _glovebox_value "$before" "$word" && return ;;
    esac

    case $command:$word in
    run:-*)
        words='--in --out --json --image --store --mount --user --secret --script-config --stats --timeout --isolation
            --config --no-config --why --trace --hide-folder --repeat --parallel --branch --wipe
            --cache --no-cache --memory --message-limit --cpu --processes --files
            --disk --output-limit --help
            --remote --remote-token --remote-ca --remote-heartbeat --idempotent'
        ;;
    inspect:-*) words='--json --timeout --isolation --config --no-config --hide-folder --help' ;;
    build:-*) words='--output --ready --help' ;;
    run:* | inspect:*)
        mapfile -t COMPREPLY < <({
            for words in py js mjs cjs wasm gbx; do
                compgen -f -X "!*.$words" -- "$word"
            done
            compgen -d -- "$word"
        } | sort -u)
        compopt -o filenames
        return
        ;;
    build:*)
        mapfile -t COMPREPLY < <({
            compgen -f -X '!*.wasm' -- "$word"
            compgen -d -- "$word"
        } | sort -u)
        compopt -o filenames
        return
        ;;
    exec:-*)
        words='--image --store --mount --user --isolation --root --folder --workdir --env --trace --config --no-config
            --timeout --memory --cpu --threads --files --disk --help'
        ;;
    exec:*)
        mapfile -t COMPREPLY < <({
            compgen -c -- "$word"
            compgen -f -- "$word"
        } | sort -u)
        compopt -o filenames
        return
        ;;
    flow:-*)
        case ${COMP_WORDS[2]} in
        check) words='--scripts --quick --json --timeout --isolation --image --config --no-config --help' ;;
        show) words='--svg --dot --list --ascii --width --help' ;;
        run)
            words='--in --out --scripts --watch --quiet --isolation --image --config --no-config
                --workers --state --trace --events --sample --help
                --remote --remote-token --remote-ca --remote-heartbeat --idempotent'
            ;;
        *) words='--help' ;;
        esac
        ;;
    flow:*)
        if [ "$COMP_CWORD" -eq 2 ]; then
            words='check show run'
        else
            mapfile -t COMPREPLY < <({
                compgen -f -X '!*.json' -- "$word"
                compgen -d -- "$word"
            } | sort -u)
            compopt -o filenames
            return
        fi
        ;;
    image:-*)
        words='--store --json --quiet --all --platform --name --insecure
            --auth-file --timeout --silence --max-size --max-ratio --help'
        ;;
    image:*)
        [ "$COMP_CWORD" -ne 2 ] || words='pull ls inspect rm prune verify --help'
        [ "$COMP_CWORD" -ne 3 ] ||
            words=$("$1" image ls 2>/dev/null | awk '/^sha256:/ { print $6 }')
        ;;
    cache:*) words='ls prune --cache --max --help' ;;
    config:-*) words='--for --help' ;;
    config:*)
        [ "$COMP_CWORD" -eq 2 ] && words='check show --help'
        [ "$COMP_CWORD" -eq 2 ] || {
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            compopt -o filenames
            return
        }
        ;;
    up:*) words='--file --check --foreground --detach --timeout --help' ;;
    down:*) words='--file --timeout --help' ;;
    ps:*) words='--file --json --help' ;;
    status:*) words='--file --help' ;;
    logs:-*) words='--file --follow --tail --help' ;;
    logs:*)
        words=$("$1" ps 2>/dev/null |
            awk '/^SCRIPT /{s=1; next} /^$/{s=0} s{print $1} /^FLOW /{sub(":", "", $2); print $2}')
        ;;
    doctor:*) words='--json --help' ;;
    nodes:*) words='nats:// tls:// --json --help' ;;
    bench:*) words='call payload start wipe written density floor isolation languages compute wasm serve nats flow image --json --help' ;;
    help:*) words='run inspect flow exec build image cache config up down ps logs status doctor nodes bench' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _glovebox glovebox
