/* The constants of the first step of the exact passes (formulas_exact.h), as tools/derive_constants_exact.py prints and
 * checks them. */
#ifndef FASTACT_CONSTANTS_EXACT_H
#define FASTACT_CONSTANTS_EXACT_H

/* 1/ln(2); ln(2), and what that lacks */
#define LOG2_E_EXACT 0x1.715476p+0f
#define LN_2_EXACT 0x1.62e43p-1f
#define LN_2_REST -0x1.05c61p-29f
/* 2^(j/8) less j << 20, the relative rests that they lack, and the polynomial of exp */
#define POWERS_8 \
    0x1p+0f, 0x1.f72b84p-1f, 0x1.f06fep-1f, 0x1.ebfdaep-1f, 0x1.ea09e6p-1f, 0x1.eace54p-1f, 0x1.ee89fap-1f, \
    0x1.f5818ep-1f
#define POWERS_8_REST \
    0, -0x1.9c0c22p-27f, 0x1.125002p-25f, -0x1.0a355p-25f, 0x1.26055cp-26f, 0x1.67a1cap-28f, -0x1.f9c304p-27f, \
    -0x1.a5217cp-28f
#define EXP_8 0x1.555556p-3f, 0x1.555a32p-5f, 0x1.10fep-7f
/* the same with 2^(j/16), nothing taken off */
#define POWERS_16 \
    0x1p+0f, 0x1.0b5586p+0f, 0x1.172b84p+0f, 0x1.2387a6p+0f, 0x1.306fep+0f, 0x1.3dea64p+0f, 0x1.4bfdaep+0f, \
    0x1.5ab07ep+0f, 0x1.6a09e6p+0f, 0x1.7a1148p+0f, 0x1.8ace54p+0f, 0x1.9c4918p+0f, 0x1.ae89fap+0f, 0x1.c199bep+0f, \
    0x1.d5818ep+0f, 0x1.ea4afap+0f
#define POWERS_16_REST \
    0, 0x1.8d96d4p-25f, -0x1.9c0c22p-27f, 0x1.964904p-25f, 0x1.125002p-25f, 0x1.370be4p-25f, -0x1.0a355p-25f, \
    -0x1.00d8acp-27f, 0x1.26055cp-26f, -0x1.05cb44p-25f, 0x1.67a1cap-28f, 0x1.a3b5e4p-28f, -0x1.f9c304p-27f, \
    -0x1.6961b4p-28f, -0x1.a5217cp-28f, 0x1.61428ep-28f
#define EXP_16 0x1.55571ep-3f, 0x1.5556b4p-5f
/* of x^3, x^5, x^7, x^9 */
#define TANH_NEAR_0 -0x1.555556p-2f, 0x1.111316p-3f, -0x1.bd9476p-5f, 0x1.257ab4p-5f
/* tanh on 32 intervals: entry k of a table belongs to interval (k + 14) mod 32 */
#define TANH_32_CENTRE \
    0x1.7ffceap+0f, 0x1.bfff9p+0f, 0x1.fffb5cp+0f, 0x1.1ffeaep+1f, 0x1.3fff66p+1f, 0x1.6000bep+1f, 0x1.7ffd52p+1f, \
    0x1.a0006ep+1f, 0x1.d00118p+1f, 0x1.080016p+2f, 0x1.27ff24p+2f, 0x1.480278p+2f, 0x1.68085ap+2f, 0x1.87e9c2p+2f, \
    0x1.a80902p+2f, 0x1.c79b9cp+2f, 0x1.e7fc36p+2f, 0x1.15387p+3f, 0, 0x1.80589p-4f, 0x1.40211cp-3f, 0x1.c030dap-3f, \
    0x1.2009ep-2f, 0x1.601476p-2f, 0x1.c00518p-2f, 0x1.1ff862p-1f, 0x1.5fe81ep-1f, 0x1.a03dc8p-1f, 0x1.e0100ep-1f, \
    0x1.101846p+0f, 0x1.2fef86p+0f, 0x1.4ffcb2p+0f
#define TANH_32_BASE \
    0x1.cf6e7ap-1f, 0x1.e1fbep-1f, 0x1.ed945ep-1f, 0x1.f4bf9cp-1f, 0x1.f92572p-1f, 0x1.fbd516p-1f, 0x1.fd77b6p-1f, \
    0x1.fe767cp-1f, 0x1.ff45fap-1f, 0x1.ffbb88p-1f, 0x1.ffe6cep-1f, 0x1.fff6bcp-1f, 0x1.fffc98p-1f, 0x1.fffebep-1f, \
    0x1.ffff8ap-1f, 0x1.ffffd4p-1f, 0x1.fffffp-1f, 0x1.fffffep-1f, 0, 0x1.7f38ccp-4f, 0x1.3d8c18p-3f, \
    0x1.b92b9ap-3f, 0x1.18acbcp-2f, 0x1.52d4fep-2f, 0x1.a576dap-2f, 0x1.0502ccp-1f, 0x1.31487cp-1f, 0x1.57aaf4p-1f, \
    0x1.77dfap-1f, 0x1.92d234p-1f, 0x1.a8d188p-1f, 0x1.bad36p-1f
#define TANH_32_C3 \
    0x1.67b76cp-4f, 0x1.01ba9ap-4f, 0x1.58feb4p-5f, 0x1.bbd36ap-6f, 0x1.16e32ap-6f, 0x1.599038p-7f, 0x1.a8bc86p-8f, \
    0x1.0395b6p-8f, 0x1.ed95fap-10f, 0x1.6c7f9ap-11f, 0x1.0c90e8p-12f, 0x1.8b62ccp-14f, 0x1.231a74p-15f, \
    0x1.ab2b1p-17f, 0x1.3ef9fep-18f, 0x1.c30368p-20f, 0x1.4e5c9ep-21f, 0x1.9dd7a8p-24f, -0x1.55554ep-2f, \
    -0x1.49759p-2f, -0x1.351a3cp-2f, -0x1.182f5ap-2f, -0x1.e910dcp-3f, -0x1.983b94p-3f, -0x1.16db8ap-3f, \
    -0x1.bd54fp-5f, 0x1.d49374p-7f, 0x1.07c8bp-4f, 0x1.84486ap-4f, 0x1.bdd05ep-4f, 0x1.c52b42p-4f, 0x1.abfc26p-4f
#define TANH_32_C4 \
    -0x1.990754p-6f, -0x1.815c52p-6f, -0x1.251c42p-6f, -0x1.9400bp-7f, -0x1.07d2a2p-7f, -0x1.4df8a4p-8f, \
    -0x1.a173f2p-9f, -0x1.00254cp-9f, -0x1.eab97ep-11f, -0x1.6bcd36p-12f, -0x1.0c6474p-13f, -0x1.8c75d6p-15f, \
    -0x1.26941ep-16f, -0x1.9a9a6ep-18f, -0x1.5f9ab8p-19f, -0x1.30445p-21f, -0x1.28281ep-22f, -0x1.5526b4p-24f, \
    -0x1.b8776p-17f, 0x1.f3ddep-5f, 0x1.8e1bacp-4f, 0x1.055e32p-3f, 0x1.331ca4p-3f, 0x1.50a986p-3f, 0x1.5c2288p-3f, \
    0x1.3a55b4p-3f, 0x1.e9bc36p-4f, 0x1.46a5d8p-4f, 0x1.620a0ap-5f, 0x1.d352d6p-7f, -0x1.703edap-8f, -0x1.246ad4p-6f
#define TANH_32_C5 \
    -0x1.68adaap-9f, 0x1.e0c9e4p-9f, 0x1.3a9698p-8f, 0x1.0756c4p-8f, 0x1.7390b4p-9f, 0x1.fac85ap-10f, \
    0x1.4200bep-10f, 0x1.96af18p-11f, 0x1.87292cp-12f, 0x1.2372b6p-13f, 0x1.af9a1ep-15f, 0x1.335e6cp-16f, \
    0x1.93fe74p-18f, 0x1.ee411ap-19f, -0x1.57fb1ep-23f, 0x1.a35beep-20f, 0x1.a7d85ep-24f, -0x1.1d5378p-24f, \
    0x1.122934p-3f, 0x1.f5eb4ep-4f, 0x1.be2adap-4f, 0x1.6bec48p-4f, 0x1.c44d1p-5f, 0x1.c2596p-6f, -0x1.7b8f3cp-8f, \
    -0x1.65799cp-5f, -0x1.f91446p-5f, -0x1.fcdf28p-5f, -0x1.adf97ep-5f, -0x1.4677ep-5f, -0x1.9e4e86p-6f, \
    -0x1.bfeba2p-7f
#define TANH_32_C6 \
    0x1.d5fd02p-8f, 0x1.0b7446p-9f, -0x1.3c4f52p-12f, -0x1.9cfbeep-12f, -0x1.1b15acp-11f, -0x1.8d78eep-11f, \
    0x1.75df3cp-13f, -0x1.90e326p-12f, -0x1.017b86p-13f, -0x1.7a9ff8p-15f, -0x1.1b7e64p-16f, -0x1.16a51ap-18f, \
    0x1.d40308p-21f, -0x1.3d08dp-18f, 0x1.c93774p-19f, -0x1.370268p-18f, -0x1.64a8f6p-25f, 0x1.6da92ep-23f, \
    -0x1.26ef9ep-7f, -0x1.3adaf4p-5f, -0x1.12ab9ap-12f, -0x1.ee0aep-3f, -0x1.1bce14p-4f, -0x1.075378p-2f, \
    -0x1.ecdc0ap-5f, -0x1.33d0f8p-5f, -0x1.753e1ap-7f, -0x1.bcca36p-10f, 0x1.49a452p-6f, 0x1.9e77e8p-6f, \
    0x1.ca9268p-7f, 0x1.4f572ap-5f

#endif
