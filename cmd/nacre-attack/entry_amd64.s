#include "textflag.h"

// func int80(number uint32) int32
// Enters the kernel by the 32-bit gate with no arguments.
TEXT ·int80(SB), NOSPLIT, $0-12
	MOVL number+0(FP), AX
	MOVL $0, BX
	MOVL $0, CX
	MOVL $0, DX
	INT  $0x80
	MOVL AX, ret+8(FP)
	RET
