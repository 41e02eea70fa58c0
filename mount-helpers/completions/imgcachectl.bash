# shellcheck shell=bash
# bash completion of imgcachectl and imgcachefs, installed under both names.
#
# Image IDs come from imgcachectl itself, options of imgcachefs and their values from its --help. The verbs
# and options of imgcachectl stand here: tests/ctl/completion_test.cc holds them against its --help.

# The words before and at the cursor as they were typed: words, cword, cur. Bash itself splits them at
# ':' and '=' too, which IDs and options have in them.
__imgcachefs_words() {
  local rest=${COMP_LINE:0:COMP_POINT} i word
  words=() cword=0
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((i > 0)) && [[ $rest != [[:blank:]]* ]]; then
      words[cword]+=$word
    else
      rest=${rest#"${rest%%[![:blank:]]*}"}
      cword=${#words[@]}
      words+=("$word")
    fi
    rest=${rest#"$word"}
  done
  cur=${words[cword]}
}

# Of these, those that go on from the word at the cursor. What bash has split off before it, it keeps.
__imgcachefs_reply() {
  local candidate typed=${cur//\\/} before=$cur
  while [[ -n $before && ! ($COMP_WORDBREAKS == *"${before: -1}"* && ${before: -1} == [:=]) ]]; do
    before=${before%?}
  done
  for candidate; do
    [[ $candidate == "$typed"* ]] || continue
    [[ $candidate != *[=:/] ]] || compopt -o nospace 2>/dev/null
    [[ $candidate != *[^[:alnum:]_.,:/=+@%~-]* ]] || printf -v candidate %q "$candidate"
    COMPREPLY+=("${candidate#"$before"}")
  done
}

__imgcachectl_ids() {
  local place id
  for place; do
    while IFS= read -r id; do
      [[ " ${words[*]:1:cword-1} " == *" $id "* ]] || __imgcachefs_reply "$id"
    done < <("${words[0]/#\~/$HOME}" ${where[@]+"${where[@]}"} list --ids ${place:+"$place"} 2>/dev/null)
  done
}

_imgcachectl() {
  local words cword cur i verb='' where=() global='-m --mount -c --cache-dir --json -h --help -V --version'
  __imgcachefs_words
  for ((i = 1; i < cword; i++)); do
    case ${words[i]} in
      -m | --mount | -c | --cache-dir)
        where=("${words[i]}" "${words[i + 1]/#\~/$HOME}")
        ((++i))
        ;;
      --mount=* | --cache-dir=*) where=("${words[i]}") ;;
      --max-size | --stall-time | --interval | -n | --count) ((++i)) ;;
      -*) ;;
      *) [[ -n $verb ]] || verb=${words[i]} ;;
    esac
  done

  case ${words[cword - 1]} in
    -m | --mount)
      mapfile -t words < <(awk '$3 == "fuse.imgcachefs" { print $2 }' /proc/self/mounts 2>/dev/null)
      __imgcachefs_reply ${words[@]+"${words[@]}"}
      compopt -o filenames 2>/dev/null
      mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$cur")
      return
      ;;
    -c | --cache-dir)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      return
      ;;
    --max-size | --stall-time | --interval | -n | --count) return ;;
  esac

  if [[ $cur == -* ]]; then
    case $verb in
      list) __imgcachefs_reply --queued --incomplete --invalid --ids ;;
      top) __imgcachefs_reply --interval -n --count --once ;;
      unqueue | evict | verify) __imgcachefs_reply --all ;;
      prune) __imgcachefs_reply --max-size --dry-run ;;
      clean) __imgcachefs_reply --stall-time --dry-run ;;
    esac
    # shellcheck disable=SC2086
    __imgcachefs_reply $global
    return
  fi
  case $verb in
    '')
      __imgcachefs_reply list info map status top prefetch queue unqueue pin unpin verify evict \
        prune clean
      ;;
    info | map | evict) __imgcachectl_ids '' --incomplete ;;
    pin | unpin | verify) __imgcachectl_ids '' ;;
    unqueue) __imgcachectl_ids --queued ;;
  esac
}

complete -F _imgcachectl imgcachectl

# "name" or "name=VALUE", a line each.
__imgcachefs_options() {
  "${words[0]/#\~/$HOME}" --help 2>/dev/null | sed -nE 's/^  ([a-z_]+(=[^ ]+)?) +[^ ].*/\1/p'
}

# The values of an option, with what stands before them in the word.
__imgcachefs_values() {
  local name=${1//-/_} before=$2 option value
  while IFS= read -r option; do
    [[ $option == "$name="* ]] || continue
    case ${option#*=} in
      *'|'*)
        IFS='|' read -ra values <<<"${option#*=}"
        for value in "${values[@]}"; do
          [[ $value == [a-z]* ]] && __imgcachefs_reply "$before$value"
        done
        ;;
      FILE | DIR)
        compopt -o filenames 2>/dev/null
        while IFS= read -r value; do __imgcachefs_reply "$before$value"; done \
          < <(compgen -f -- "${cur#"$before"}")
        ;;
      USER) while IFS= read -r value; do __imgcachefs_reply "$before$value"; done < <(compgen -u) ;;
      GROUP) while IFS= read -r value; do __imgcachefs_reply "$before$value"; done < <(compgen -g) ;;
    esac
  done < <(__imgcachefs_options)
}

_imgcachefs() {
  local words cword cur i option values before place=0
  __imgcachefs_words
  for ((i = 1; i < cword; i++)); do
    case ${words[i]} in
      -o) ((++i)) ;;
      -*) ;;
      *) ((++place)) ;;
    esac
  done

  if [[ ${words[cword - 1]} == -o ]]; then
    before=''
    [[ $cur != *,* ]] || before=${cur%,*},
    option=${cur#"$before"}
    if [[ $option == *=* ]]; then
      __imgcachefs_values "${option%%=*}" "$before${option%%=*}="
    else
      while IFS= read -r option; do
        [[ $option != *=* ]] || option=${option%%=*}=
        __imgcachefs_reply "$before$option"
      done < <(__imgcachefs_options)
    fi
    return
  fi
  if [[ $cur == --*=* ]]; then
    option=${cur#--}
    __imgcachefs_values "${option%%=*}" "${cur%%=*}="
    return
  fi
  if [[ $cur == -* ]]; then
    __imgcachefs_reply -o -f -d -h -V --help --version --foreground --debug --check-config
    while IFS= read -r option; do
      [[ $option != *=* ]] || option=${option%%=*}=
      __imgcachefs_reply "--${option//_/-}"
    done < <(__imgcachefs_options)
    return
  fi
  case $place in
    0) __imgcachefs_reply http:// https:// glance+http:// glance+https:// glance: oci+http:// oci+https:// ;;
    1)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      ;;
  esac
}

complete -F _imgcachefs imgcachefs
