/** The parts of the page by selector. */

/** @param {string} selector @returns {any} */
export const $ = (selector) => document.querySelector(selector);
/** @param {string} selector @returns {any[]} */
export const $$ = (selector) => [...document.querySelectorAll(selector)];
