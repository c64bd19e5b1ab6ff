/* The least that a Cortex-M needs to run check.c under QEMU with semihosting: vectors, FPU, a count of instructions. */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define CPACR (*(volatile uint32_t *)0xE000ED88)
#define SYST_CSR (*(volatile uint32_t *)0xE000E010)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018)

extern uint32_t stack_top, bss_start, bss_end;
extern void initialise_monitor_handles(void);
extern int main(void);
extern void __real_model_score(const void *first, const void *second, const void *third);

static void start(void) {
  CPACR |= 0xFu << 20;
  __asm volatile("dsb\n isb");
  for (uint32_t *word = &bss_start; word < &bss_end; word++) *word = 0;
  initialise_monitor_handles();
  const int status = main();
  fflush(stdout);
  _exit(status);
}

static void broken(void) {
  _exit(99);
}

__attribute__((section(".vectors"), used)) const void *const vectors[16] = {
    &stack_top, start, broken, broken, broken, broken, broken, broken,
    broken,     broken, broken, broken, broken, broken, broken, broken,
};

/* With -icount shift=0 the board's clock counts instructions; SysTick reads it. */
void __wrap_model_score(const void *first, const void *second, const void *third) {
  SYST_RVR = 0xFFFFFF;
  SYST_CVR = 0;
  SYST_CSR = 5;
  __real_model_score(first, second, third);
  const uint32_t now = SYST_CVR;
  const int wrapped = (SYST_CSR >> 16) & 1;
  printf("ticks %lu%s\n", (unsigned long)(0xFFFFFF - now), wrapped ? " wrapped" : "");
}
