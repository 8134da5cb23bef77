#include "textflag.h"

// The offsets of a call's fields.
#define NUMBER 0
#define ARGS   8
#define FROM   56
#define RESULT 104
#define SIZE   112

// ARG loads an argument, or what it is to be taken from.
#define ARG(i, reg) \
	MOVQ (ARGS+8*i)(R12), reg \
	MOVQ (FROM+8*i)(R12), BX  \
	TESTQ BX, BX              \
	JZ   2(PC)                \
	MOVQ (BX), reg

// func start(a *arguments, first *call, count uintptr, left *uintptr) (pid uintptr)
TEXT ·start(SB), NOSPLIT|NOFRAME, $0-40
	MOVQ a+0(FP), DI
	MOVQ $88, SI             // sizeof(struct clone_args)
	MOVQ first+8(FP), R12
	MOVQ count+16(FP), R13
	MOVQ left+24(FP), R15
	MOVQ $435, AX            // clone3
	SYSCALL
	TESTQ AX, AX
	JZ   next
	MOVQ AX, pid+32(FP)
	RET

	// The new process: the stack is the parent's, and is not touched.
next:
	ARG(0, DI)
	ARG(1, SI)
	ARG(2, DX)
	ARG(3, R10)
	ARG(4, R8)
	ARG(5, R9)
	MOVQ NUMBER(R12), AX
	SYSCALL
	MOVQ RESULT(R12), BX
	MOVQ AX, (BX)
	TESTQ AX, AX
	JS   failed
	ADDQ $SIZE, R12
	DECQ R13
	JNZ  next
	INCQ R13                 // the list ended without another program

failed:
	MOVQ R13, (R15)
	MOVQ $1, DI
	MOVQ $231, AX            // exit_group
	SYSCALL
	INT  $3
