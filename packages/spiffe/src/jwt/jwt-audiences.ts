/**
 * How many audiences a JWT-SVID is issued for, and how long each may be. JWT-SVID §3.2 demands one or more and sets no bound; each
 * is in the token, in the record of whoever issued it, and in the memory of whoever keeps it.
 */
export const JWT_AUDIENCES = Object.freeze({ max: 8, charactersMax: 255 });
