"""Many runs: the plan and its execution."""
