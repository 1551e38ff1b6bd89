/**
 * Instruction forms that store to memory, and neighbours that do not, in the words of the GNU
 * assembler. M is every way to address memory in turn.
 */
const FORMS = `
mov %al,M; mov %ah,M; mov %cx,M; mov %ecx,M; mov %r9,M; movb $1,M; movw $0x1234,M;
movl $0x12345678,M; movq $-5,M;
add %al,M; or %cx,M; adc %ecx,M; sbb %r9,M; and %r9b,M; sub %bx,M; xor %edx,M; cmp %edx,M;
test %edx,M;
addb $1,M; orw $300,M; adcl $70000,M; sbbq $-9,M; andl $3,M; subw $3,M; xorq $77777,M;
cmpl $7,M; cmpq $777777,M; testb $1,M; testw $999,M; testl $99999,M; testq $99999,M;
lock addl $1,M; lock xaddl %ecx,M; lock xaddb %cl,M; xchg %ecx,M; xchg %cl,M;
lock cmpxchg %ecx,M; lock cmpxchg %rcx,M; cmpxchg %cl,M; lock cmpxchg8b M; lock cmpxchg16b M;
incb M; decw M; incl M; decq M; notb M; notl M; negw M; negq M; mulb M; mull M; divq M;
idivw M; imull M;
rolb $3,M; rorw $3,M; rcll $3,M; rcrq $3,M; shlb %cl,M; shrw %cl,M; sarl %cl,M; shlq M; sarb M;
shld $3,%ecx,M; shld %cl,%rcx,M; shrd $3,%cx,M; shrd %cl,%ecx,M;
bts %ecx,M; btr %rcx,M; btc %cx,M; bt %ecx,M; btsl $3,M; btrq $3,M; btcw $3,M; btl $3,M;
sete M; setnp M; movnti %ecx,M; movnti %rcx,M; movbe %cx,M; movbe %ecx,M; movbe %rcx,M;
movbe M,%ecx; crc32l M,%ecx; crc32w M,%ecx;
movw %es,M; pop M; popw M; push M; pushw M; call *M; jmp *M;
movups %xmm1,M; movupd %xmm9,M; movss %xmm1,M; movsd %xmm1,M; movlps %xmm1,M; movlpd %xmm1,M;
movhps %xmm1,M; movhpd %xmm9,M; movaps %xmm1,M; movapd %xmm1,M; movntps %xmm1,M;
movntpd %xmm1,M;
movd %xmm1,M; movq %xmm1,M; movd %mm1,M; movq %mm1,M; movdqa %xmm1,M; movdqu %xmm1,M;
movntq %mm1,M; movntdq %xmm1,M; movntss %xmm1,M; movntsd %xmm1,M;
maskmovq %mm1,%mm2; maskmovdqu %xmm1,%xmm2; vmaskmovdqu %xmm1,%xmm2;
pextrb $1,%xmm1,M; pextrw $1,%xmm1,M; pextrd $1,%xmm1,M; pextrq $1,%xmm1,M;
extractps $1,%xmm1,M;
vmovups %ymm1,M; vmovupd %xmm9,M; vmovss %xmm1,M; vmovsd %xmm1,M; vmovlps %xmm1,M;
vmovhps %xmm1,M; vmovaps %ymm10,M; vmovntps %ymm1,M; vmovd %xmm1,M; vmovq %xmm1,M;
vmovdqa %ymm1,M; vmovdqu %ymm1,M; vmovntdq %ymm1,M;
vpextrb $1,%xmm1,M; vpextrw $1,%xmm1,M; vpextrd $1,%xmm1,M; vpextrq $1,%xmm1,M;
vextractps $1,%xmm1,M; vextractf128 $1,%ymm1,M; vextracti128 $1,%ymm1,M; vcvtps2ph $1,%xmm1,M;
vcvtps2ph $1,%ymm1,M;
vmaskmovps %ymm1,%ymm2,M; vmaskmovpd %xmm1,%xmm2,M; vpmaskmovd %ymm1,%ymm2,M;
vpmaskmovq %xmm1,%xmm2,M; vmaskmovps M,%ymm1,%ymm2;
vmovups %zmm1,M; vmovaps %zmm17,M; vmovups %zmm1,M{%k1}; vmovdqu8 %zmm1,M; vmovdqu16 %ymm17,M;
vmovdqu32 %xmm17,M; vmovdqu64 %zmm1,M; vmovdqa32 %zmm1,M; vmovdqa64 %zmm31,M; vmovntdq %zmm1,M;
vmovntpd %zmm1,M;
vmovss %xmm17,M; vmovsd %xmm17,M; vmovss %xmm17,M{%k1}; vmovd %xmm17,M; vmovq %xmm17,M;
vmovlps %xmm17,M; vmovhpd %xmm17,M;
vextractf32x4 $1,%zmm1,M; vextractf64x2 $1,%zmm1,M; vextractf32x8 $1,%zmm1,M;
vextractf64x4 $1,%zmm1,M; vextracti32x4 $1,%ymm1,M; vextracti64x4 $1,%zmm1,M;
vcvtps2ph $1,%zmm1,M;
vpmovqb %zmm1,M; vpmovqw %zmm1,M; vpmovqd %zmm1,M; vpmovdb %ymm1,M; vpmovdw %xmm1,M;
vpmovwb %zmm1,M; vpmovsqb %zmm1,M; vpmovusdw %ymm1,M; vpmovswb %ymm1,M; vpmovusqd %zmm1,M;
vpcompressd %zmm1,M; vpcompressq %ymm1,M; vcompresspd %zmm1,M; vcompressps %xmm1,M;
vpcompressb %zmm1,M; vpcompressw %zmm1,M;
kmovb %k1,M; kmovw %k1,M; kmovd %k1,M; kmovq %k1,M; kmovw M,%k1;
vmovsh %xmm1,M; vmovw %xmm1,M; vptestnmd M,%zmm1,%k1; vpaddd M,%zmm1,%zmm2;
fsts M; fstps M; fstl M; fstpl M; fstpt M; fists M; fistl M; fistpll M; fistps M; fistpl M;
fisttps M; fisttpl M; fisttpll M; fbstp M; fnstcw M; fnstsw M; fnstenv M; fnsave M; fldcw M;
flds M; fldt M; fbld M; fildll M;
stmxcsr M; vstmxcsr M; ldmxcsr M; fxsave M; fxsave64 M; xsave M; xsave64 M; xsaveopt M;
xsavec M; xsaves64 M; xrstor M; fxrstor M; clflush M; clflushopt M; clwb M; prefetcht0 M;
prefetchw M;
sgdt M; sidt M; smsw M; sldt M; str M; movdiri %ecx,M; movdiri %rcx,M;
cmovel M,%ecx; imul $3,M,%ecx; imul $300,M,%ecx; movzbl M,%ecx; movswl M,%ecx; movslq M,%rcx;
lea M,%rcx; popcnt M,%ecx; andn M,%ecx,%edx; rorx $3,M,%ecx; pshufd $3,M,%xmm1;
vpshufd $3,M,%ymm1; vpalignr $3,M,%ymm1,%ymm2; cmpps $3,M,%xmm1; nopl M;
adcx M,%ecx; mulx M,%ecx,%edx; vpgatherdd %xmm1,(%rax,%xmm2,4),%xmm3;
vpscatterdd %zmm1,(%rax,%zmm2,4){%k1}; vpscatterqq %zmm1,8(%rax,%zmm2,4){%k1};
movdir64b M,%rcx;
vfmaddps %xmm1,M,%xmm2,%xmm3; vprotb $3,M,%xmm1; vpcmov %xmm1,M,%xmm2,%xmm3;
bextr $0x12345678,M,%ecx; vpperm %xmm1,M,%xmm2,%xmm3;
`;

/** Those whose memory is implied, and what has none. */
const OTHERS = `
movsb; movsw; movsl; movsq; stosb; stosw; stosl; stosq; rep movsb; rep movsq; rep stosb;
rep stosl; insb; insl; push %rax; push %r9; pushw %ax; push $3; push $300; pushw $300; pushf;
enter $16,$0; call .; leave; ret; ret $8; pop %rax; movabs %al,0x1122334455667788;
movabs %rax,0x1122334455667788; movabs 0x1122334455667788,%eax;
movabs $0x1122334455667788,%rax; push %fs; in $3,%al; loop .; jrcxz .; je .; je .+1000;
xbegin .; syscall; cpuid; emms; vzeroupper; lodsb; scasb; cmpsb; xlat; int $3; fld1;
fstp %st(1); fs movsb; nop; pause; rdtsc; endbr64; mov %eax,%ecx; xchg %eax,%ecx; bswap %eax;
bswap %r9; sete %al; pushfw;
`;

const ADDRESSES = [
  ...['(%rax)', '(%r8)', '(%rsp)', '(%rbp)', '(%r12)', '(%r13)', '8(%rax)', '-128(%r12)'],
  ...['64(%rsp)', '0x12345(%rbx)', '(%rax,%rbx)', '(%rax,%r12,8)', '64(%rbp,%rdi,2)'],
  ...['0x1000(,%r9,8)', 'foo(%rip)', '0x12345678', '%fs:0x10', '%gs:(%rax)', '(%eax)'],
  '(%r13,%rax,4)',
];

function split(text: string): string[] {
  return text
    .split(/[;\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** What no encoding has: ah with an extended register, two widths of address. */
function isImpossible(form: string, address: string): boolean {
  if (form.includes('%ah')) return /%r\d/.test(address);
  return form.startsWith('movdir64b') && address.includes('%e');
}

/** Source for the assembler, one instruction a line. */
export function assemblySource(): string {
  const lines = ['foo:'];
  for (const form of split(FORMS)) {
    if (!/\bM\b/.test(form)) lines.push(form);
    else
      for (const address of ADDRESSES)
        if (!isImpossible(form, address)) lines.push(form.replace(/\bM\b/, address));
  }
  return `${[...lines, ...split(OTHERS)].join('\n')}\n`;
}
