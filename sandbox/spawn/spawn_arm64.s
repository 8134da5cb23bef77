#include "textflag.h"

// The offsets of a call's fields.
#define NUMBER 0
#define ARGS   8
#define FROM   56
#define RESULT 104
#define SIZE   112

// ARG loads an argument, or what it is to be taken from.
#define ARG(i, reg) \
	MOVD (ARGS+8*i)(R19), reg \
	MOVD (FROM+8*i)(R19), R9  \
	CBZ  R9, 2(PC)            \
	MOVD (R9), reg

// func start(a *arguments, first *call, count uintptr, left *uintptr) (pid uintptr)
TEXT ·start(SB), NOSPLIT|NOFRAME, $0-40
	MOVD a+0(FP), R0
	MOVD $88, R1             // sizeof(struct clone_args)
	MOVD first+8(FP), R19
	MOVD count+16(FP), R20
	MOVD left+24(FP), R21
	MOVD $435, R8            // clone3
	SVC
	CBZ  R0, next
	MOVD R0, pid+32(FP)
	RET

	// The new process: the stack is the parent's, and is not touched.
next:
	ARG(0, R0)
	ARG(1, R1)
	ARG(2, R2)
	ARG(3, R3)
	ARG(4, R4)
	ARG(5, R5)
	MOVD NUMBER(R19), R8
	SVC
	MOVD RESULT(R19), R9
	MOVD R0, (R9)
	TBNZ $63, R0, failed
	ADD  $SIZE, R19
	SUB  $1, R20
	CBNZ R20, next
	ADD  $1, R20             // the list ended without another program

failed:
	MOVD R20, (R21)
	MOVD $1, R0
	MOVD $94, R8             // exit_group
	SVC
	BRK
