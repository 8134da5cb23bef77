package cli

import "github.com/spf13/cobra"

// newExitCodes is a topic of nacre help.
func newExitCodes(*App) *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `run and exec end as the program did, as docker run does:

  the program's own code    where it ended by itself
  128 + N                   where signal N ended it: 130 is Ctrl-C, 137 a kill,
                            143 a stop. A run that is over its time, its output
                            or its memory ends so too, and says why; but control
                            groups v1 kill one process for want of memory, and
                            the run goes on and says at its end how many
  125                       nacre itself failed, or refused to run it; or not all that
                            the program wrote could be written where it goes
  2, 137, 139               also: nacre itself could not be loaded or was killed,
                            because not even it had a process or memory left; what
                            it had begun is taken away by the next start
  126                       the program cannot be executed
  127                       the program was not found in the sandbox

All other commands:

  0      it was done; or the answer is yes
  1      the answer is no: explain (denied), doctor (something is lacking),
         posture (something is not as planned), plan --diff (authority is added),
         attack (something was not contained), skill verify (a skill is not
         what was locked)
  125    nacre failed or refused; the lines "error:" and "hint:" say why`,
	}
}
