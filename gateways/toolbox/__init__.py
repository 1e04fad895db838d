"""The program that carries out an agent's tool calls, inside the sandbox, with Python 3.8 and nothing else.

`python3 -IS toolbox-….py CALL_ID < request.json` has one call executed with exactly one effect, and prints
its result:

    request   {"tool": "bash" | "edit" | "search", "timeout_seconds": 300, …the tool's own fields}
    result    {"content": str, "isError": bool, "exitCode"?: int, "durationMs": int, "truncated": bool}

* client.py    what is started for each call: it hands the call to
* resident.py  the one process that stays in the sandbox, and forks for each call
* journal.py    one call, one effect: the lock, what was started, what came out
* shell.py      `bash`: a command whose directory and exported variables last till the next one
* edit.py       `edit`: Anthropic's text editor tool
* search.py     `search`: a regular expression in the repository's files
* arguments.py  what a model sent, checked; outcome.py what it gets back; masking.py secrets kept out of both

The archive holds kit/secret_forms.py, too: what is masked here is what the worker masks.
"""
