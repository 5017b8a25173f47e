# SPDX-License-Identifier: Apache-2.0
# Completion of glovebox(1) for bash.

_glovebox() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words=
    COMPREPLY=()

    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W \
            'run exec doctor bench help --version --help' -- "$word")
        return
    fi

    # "--in port=@pic" arrives as port, =, @pic: "=" parts words in bash.
    if [ "$before" = = ]; then
        case ${COMP_WORDS[COMP_CWORD - 3]} in
        -i | --in)
            if [ "${word#@}" != "$word" ]; then
                mapfile -t COMPREPLY < <(compgen -P @ -f -- "${word#@}")
                compopt -o filenames
            fi
            ;;
        -o | --out)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            compopt -o filenames
            ;;
        esac
        return
    fi

    case $command:$before in
    run:--isolation) words='auto microvm process' ;;
    run:--memory | exec:--memory) words='64M 256M 1G' ;;
    run:-t | run:--timeout | exec:-t | exec:--timeout) words='500ms 5s 1m' ;;
    exec:--root | exec:--folder)
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        compopt -o filenames
        return
        ;;
    exec:--env | exec:--workdir | exec:--cpu | exec:--threads | exec:--files) return ;;
    exec:--disk | run:--disk | run:--output-limit | run:--message-limit) words='64M 1G' ;;
    run:-i | run:--in | run:-o | run:--out | run:--config) return ;;
    run:--cpu | run:--processes | run:--files) return ;;
    run:run)
        mapfile -t COMPREPLY < <(compgen -f -X '!*.py' -- "$word"
            compgen -d -- "$word")
        compopt -o filenames
        return
        ;;
    exec:*)
        case $word in
        -*)
            words='--root --folder --workdir --env --trace --timeout --memory
                --cpu --threads --files --disk --help'
            ;;
        *)
            mapfile -t COMPREPLY < <(compgen -c -- "$word"
                compgen -f -- "$word")
            compopt -o filenames
            return
            ;;
        esac
        ;;
    run:*)
        words='--in --out --json --config --stats --timeout --isolation
            --why --trace --hide-folder --memory --message-limit --cpu --processes --files
            --disk --output-limit --help'
        ;;
    doctor:*) words='--json --help' ;;
    bench:*) words='call payload start --json' ;;
    help:*) words='run exec doctor bench' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _glovebox glovebox
