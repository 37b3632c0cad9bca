# bash completion for sharesctl. Commands and options come from the program itself (sharesctl help --words: a command a
# line, its words, arguments and options parted by tabs); names of objects, and words that a value may be, from the
# daemon, where it answers at once.

_sharesctl_names() {
	local group=$1 name=${2:-'$1'}

	timeout 2 sharesctl "${_sharesctl_socket[@]}" --timeout 1 "$group" list 2>/dev/null |
		awk "NR > 1 && (name = $name) != \"-\" { print name }"
}

# As the daemon describes itself: a list's name, or a method and its parameter.
_sharesctl_choices() {
	timeout 2 sharesctl "${_sharesctl_socket[@]}" --timeout 1 help --choices "$@" 2>/dev/null
}

_sharesctl_value() {
	case $1 in
	--backend | BACKEND) _sharesctl_names backend ;;
	--snapshot | SNAPSHOT | SHARE@NAME) _sharesctl_names snapshot ;;
	SHARE) _sharesctl_names share ;;
	OBJECT) _sharesctl_names share; _sharesctl_names snapshot ;;
	REPLICA) _sharesctl_names replica '$2 "@" $3' ;;
	SERVER) _sharesctl_names server ;;
	HOOK) _sharesctl_names hook '$2' ;;
	METHOD) _sharesctl_choices methods ;;
	--type) _sharesctl_choices events; _sharesctl_choices events | sed 's/[.].*/.*/' | uniq ;;
	--proto) _sharesctl_choices create_share_instance share_proto ;;
	--level) _sharesctl_choices allow_access access_level ;;
	TYPE | 'ID|TYPE') _sharesctl_choices access_type ;;
	STATUS) _sharesctl_choices reset_status status ;;
	--status) _sharesctl_choices share_status ;;
	--kind) printf '%s\n' share snapshot access ;;
	KIND) printf '%s\n' share snapshot ;;
	esac
}

# Splits a line of the table at its tabs; `read` would take two of them for one.
_sharesctl_split() {
	words_of=${1%%$'\t'*}
	local rest=${1#*$'\t'}
	arguments_of=${rest%%$'\t'*}
	options_of=${rest#*$'\t'}
}

_sharesctl() {
	local cur prev words cword table line words_of arguments_of options_of option
	local -a given=() arguments=() _sharesctl_socket=()
	local command='' options='' group i skip=''

	# With the library of bash-completion --option=value and SHARE@NAME come as one word each.
	if declare -F _init_completion >/dev/null; then
		_init_completion -n =:@ || return
	else
		words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}
	fi
	table=$(sharesctl help --words 2>/dev/null) || return

	# The words before the cursor that are neither options nor their values.
	for ((i = 1; i < cword; i++)); do
		option=${words[i]}
		if [[ -n $skip ]]; then
			[[ $skip == --socket ]] && _sharesctl_socket=(--socket "$option")
			skip=
		elif [[ $option == --socket=* ]]; then
			_sharesctl_socket=("$option")
		elif [[ $option == --*=* ]]; then
			:
		elif [[ $option == --* ]]; then
			[[ $table == *" $option="* ]] && skip=$option
		else
			given+=("$option")
		fi
	done

	if [[ -n $skip ]]; then
		[[ $skip == --socket ]] && { mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return; }
		mapfile -t COMPREPLY < <(compgen -W "$(_sharesctl_value "$skip")" -- "$cur")
		return
	fi

	while IFS= read -r line; do
		_sharesctl_split "$line"
		if [[ "${given[0]} ${given[1]}" == "$words_of" ]]; then
			command=$words_of given=("${given[@]:2}")
		elif [[ ${given[0]} == "$words_of" ]]; then
			command=$words_of given=("${given[@]:1}")
		else
			continue
		fi
		read -ra arguments <<<"$arguments_of"
		options=$options_of
		break
	done <<<"$table"

	if [[ $cur == --*=* ]]; then
		mapfile -t COMPREPLY < <(compgen -P "${cur%%=*}=" -W "$(_sharesctl_value "${cur%%=*}")" -- "${cur#*=}")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "${options:---socket= --json --yes --timeout= --help}" -- "$cur")
		[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
	elif [[ $command == help ]]; then
		group=${given[0]}
		mapfile -t COMPREPLY < <(compgen -W "$(_sharesctl_commands "$group" ${#given[@]})" -- "$cur")
	elif [[ -n $command ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_sharesctl_value "${arguments[${#given[@]}]}")" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$(_sharesctl_commands "${given[0]}" ${#given[@]})" -- "$cur")
	fi
}

# The first words of commands, or the second ones after `group`.
_sharesctl_commands() {
	if (($2 == 0)); then
		cut -f1 <<<"$table" | cut -d' ' -f1 | uniq
	elif (($2 == 1)); then
		cut -f1 <<<"$table" | awk -v g="$1" 'NF == 2 && $1 == g { print $2 }'
	fi
}

complete -F _sharesctl sharesctl
