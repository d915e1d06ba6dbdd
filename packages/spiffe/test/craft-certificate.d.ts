import { Buffer } from 'node:buffer';
import { type KeyObject } from 'node:crypto';
/**
 * Makes certificates that no authority of ours would: the writer here shares nothing with the room's, so that a mistake
 * of that one does not hide itself.
 */
export interface Crafted {
    readonly der: Uint8Array;
    readonly name: Buffer;
    readonly privateKey: KeyObject;
    readonly publicKey: KeyObject;
}
export interface Craft {
    readonly issuer?: Crafted;
    readonly name?: Buffer;
    readonly notBeforeMs?: number;
    readonly notAfterMs?: number;
    readonly extensions: readonly Buffer[];
    readonly keys?: {
        privateKey: KeyObject;
        publicKey: KeyObject;
    };
    readonly hash?: string | null;
    /** DER of the AlgorithmIdentifier. */
    readonly algorithm?: Buffer;
    /** DER of the AlgorithmIdentifier outside of what is signed, when it is to differ. */
    readonly outerAlgorithm?: Buffer;
    readonly version?: Buffer;
    readonly serial?: Buffer;
}
export declare const ECDSA_SHA256: Buffer<ArrayBufferLike>;
export declare function craft(options: Craft): Crafted;
export declare const critical: (id: string, ...value: Buffer[]) => Buffer;
export declare const plain: (id: string, ...value: Buffer[]) => Buffer;
/** Extensions by name; the hex is what the standard says, written out. */
export declare const x: {
    readonly ca: Buffer<ArrayBufferLike>;
    readonly caPath: (length: number) => Buffer<ArrayBufferLike>;
    readonly notCa: Buffer<ArrayBufferLike>;
    readonly keyUsage: (bits: string, isCritical?: boolean) => Buffer<ArrayBufferLike>;
    readonly digitalSignature: Buffer<ArrayBufferLike>;
    readonly certSign: Buffer<ArrayBufferLike>;
    readonly uris: (uris: readonly string[], isCritical?: boolean) => Buffer<ArrayBufferLike>;
    readonly dns: (name: string) => Buffer<ArrayBufferLike>;
    readonly usages: (...ids: readonly string[]) => Buffer<ArrayBufferLike>;
};
export declare const SERVER_AUTH = "2b06010505070301";
export declare const CLIENT_AUTH = "2b06010505070302";
export declare const ANY_USAGE = "551d2500";
export declare const EMPTY_NAME: Buffer<ArrayBufferLike>;
export declare function commonName(text: string): Buffer;
export declare function hex(text: string): Buffer;
export declare function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer;
//# sourceMappingURL=craft-certificate.d.ts.map