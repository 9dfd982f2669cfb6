// objc_msgSend of the stand-in: it saves every register that can hold an argument, has C
// check the message and choose the implementation, restores them and jumps there.
#if defined(__x86_64__)
	.text
	.macro ENTRY name stret
	.globl \name
	.type \name, @function
\name:
	pushq %rbp
	movq %rsp, %rbp
	subq $192, %rsp
	movq %rdi, 0(%rsp)
	movq %rsi, 8(%rsp)
	movq %rdx, 16(%rsp)
	movq %rcx, 24(%rsp)
	movq %r8, 32(%rsp)
	movq %r9, 40(%rsp)
	movq %rax, 48(%rsp)
	movsd %xmm0, 64(%rsp)
	movsd %xmm1, 72(%rsp)
	movsd %xmm2, 80(%rsp)
	movsd %xmm3, 88(%rsp)
	movsd %xmm4, 96(%rsp)
	movsd %xmm5, 104(%rsp)
	movsd %xmm6, 112(%rsp)
	movsd %xmm7, 120(%rsp)
	movq %rsp, %rdi
	leaq 64(%rsp), %rsi
	leaq 16(%rbp), %rdx
	movl $\stret, %ecx
	call standin_lookup
	movq %rax, %r11
	movsd 64(%rsp), %xmm0
	movsd 72(%rsp), %xmm1
	movsd 80(%rsp), %xmm2
	movsd 88(%rsp), %xmm3
	movsd 96(%rsp), %xmm4
	movsd 104(%rsp), %xmm5
	movsd 112(%rsp), %xmm6
	movsd 120(%rsp), %xmm7
	movq 0(%rsp), %rdi
	movq 8(%rsp), %rsi
	movq 16(%rsp), %rdx
	movq 24(%rsp), %rcx
	movq 32(%rsp), %r8
	movq 40(%rsp), %r9
	movq 48(%rsp), %rax
	leave
	jmp *%r11
	.size \name, .-\name
	.endm
	ENTRY objc_msgSend 0
	ENTRY objc_msgSend_stret 1
	.globl standin_nop
	.type standin_nop, @function
standin_nop:
	xorl %eax, %eax
	xorl %edx, %edx
	pxor %xmm0, %xmm0
	ret
	.globl standin_nop_stret
	.type standin_nop_stret, @function
standin_nop_stret:
	movq %rdi, %rax
	ret
#elif defined(__aarch64__)
	.text
	.macro ARGUMENTS pair one
	\pair x0, x1, [sp, #0]
	\pair x2, x3, [sp, #16]
	\pair x4, x5, [sp, #32]
	\pair x6, x7, [sp, #48]
	\one x8, [sp, #64]
	\pair d0, d1, [sp, #80]
	\pair d2, d3, [sp, #96]
	\pair d4, d5, [sp, #112]
	\pair d6, d7, [sp, #128]
	.endm
	.globl objc_msgSend
	.type objc_msgSend, %function
objc_msgSend:
	stp x29, x30, [sp, #-16]!
	mov x29, sp
	sub sp, sp, #160
	ARGUMENTS stp, str
	mov x0, sp
	add x1, sp, #80
	add x2, x29, #16
	mov w3, #0
	bl standin_lookup
	mov x16, x0
	ARGUMENTS ldp, ldr
	mov sp, x29
	ldp x29, x30, [sp], #16
	br x16
	.size objc_msgSend, .-objc_msgSend
	.globl standin_nop
	.type standin_nop, %function
standin_nop:
	mov x0, #0
	mov x1, #0
	fmov d0, xzr
	ret
#else
#error "amd64 and arm64 only"
#endif
	.section .note.GNU-stack,"",%progbits
