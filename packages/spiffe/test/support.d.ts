import { type KeyObject } from 'node:crypto';
import { type TlsIdentity, type X509Authority, type X509AuthorityOptions } from '@countersign/spiffe';
export declare const TRUST_DOMAIN = "bank.example";
export declare const API: import("@countersign/spiffe").SpiffeId;
export declare const LEDGER: import("@countersign/spiffe").SpiffeId;
export declare function p256(): {
    publicKey: KeyObject;
    privateKey: KeyObject;
};
export declare function newAuthority(options?: Partial<X509AuthorityOptions>): Promise<X509Authority>;
export declare function newIdentity(authority: X509Authority, spiffeId?: import("@countersign/spiffe").SpiffeId, ttlSeconds?: number): Promise<TlsIdentity>;
export declare function pem(key: KeyObject): string;
export declare const OPENSSL = "openssl";
/** Whether `openssl` is there; tests that need it skip, and their names say so. */
export declare const hasOpenssl: boolean;
export declare function openssl(args: readonly string[], input?: string): string;
//# sourceMappingURL=support.d.ts.map