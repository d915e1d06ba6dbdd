import { Buffer } from 'node:buffer';
/** SP 800-186 §3.2.1: n, written in hex as the standard has it. */
export declare const CURVE_ORDERS: {
    readonly 'P-256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    readonly 'P-384': 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n;
    readonly 'P-521': 0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n;
};
export type Curve = keyof typeof CURVE_ORDERS;
interface Parts {
    readonly tbs: Buffer;
    readonly algorithm: Buffer;
    /** Without the count of unused bits. */
    readonly signature: Buffer;
    readonly r: bigint;
    readonly s: bigint;
}
/** A certificate taken apart by a reader that shares nothing with the room's. */
export declare function partsOf(der: Buffer): Parts;
/** The same certificate with another signature. */
export declare function signedAs({ tbs, algorithm }: Parts, signature: Buffer): Buffer;
/** The same certificate with the other of its two ECDSA signatures, (r, n - s): made without any key. */
export declare function twinOf(der: Uint8Array, curve?: Curve): Buffer;
export {};
//# sourceMappingURL=twin-certificate.d.ts.map