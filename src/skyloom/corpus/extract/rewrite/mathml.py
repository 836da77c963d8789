"""MathML to TeX: formulas of pages that bring no TeX along.

Input: a page, or the inside of a <math> element. Output: the page in which such an element has its TeX as `alttext`, or the
TeX; None for what is no formula of the usual elements. Fractions, roots, indices, limits, accents, matrices and fences are
written as people write them; the names of functions and Greek letters become macros. What cannot be converted is dropped as a
whole: flattened, an exponent would become a digit of its base. One pass over the tags with a stack. (The converters on the
package index are unkept or need a browser, and raise on what the web holds.)
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

_MATH = re.compile(rb"<math\b([^<>]*+)>((?:[^<]++|<(?!/?math\b))*+)</math\s*+>", re.IGNORECASE)
_TOKEN = re.compile(r"<!--[^<>]*-->|<(/?)(?:\w++:)?([A-Za-z][\w-]*+)([^<>]*?)(/?)>|([^<]++)|<", re.DOTALL)
_ATTRIBUTE = re.compile(r"(?<![\w-])([\w-]++)\s*+=\s*+(?:\"([^\"]*)\"|'([^']*)')")
_DEEPEST = 60
_ROWS = frozenset("mrow mstyle math mtd mpadded merror semantics menclose maction".split())
_ARITY = {"mfrac": 2, "msup": 2, "msub": 2, "msubsup": 3, "mroot": 2, "munder": 2, "mover": 2, "munderover": 3}
_LEAVES = frozenset("mi mn mo mtext ms".split())
_OTHERS = frozenset("msqrt mtable mtr mlabeledtr mfenced mspace mphantom none".split())
_KNOWN = _ROWS | set(_ARITY) | _LEAVES | _OTHERS
_GREEK = dict(zip(
    "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩϵϕϑ", (
        "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon varphi "
        "chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega epsilon phi vartheta "
    ).split(), strict=True,
))  # fmt: skip
_SIGNS = dict(zip(
    "∑∏∫∬∮∞∂∇±∓×÷·≤≥≠≈≡∼∝∈∉⊂⊆⊃∪∩∅∀∃¬∧∨→←↔⇒⇔⟨⟩…⋯∘∗†√ℓℏ⊗⊕⊥∥∠≪≫⌊⌋⌈⌉−⋅ℝℂℕℤℚ′", (
        "sum prod int iint oint infty partial nabla pm mp times div cdot leq geq neq approx equiv sim propto in notin "
        "subset subseteq supset cup cap emptyset forall exists neg wedge vee to leftarrow leftrightarrow Rightarrow "
        "Leftrightarrow langle rangle ldots cdots circ ast dagger surd ell hbar otimes oplus perp parallel angle ll gg "
        "lfloor rfloor lceil rceil - cdot mathbb{R} mathbb{C} mathbb{N} mathbb{Z} mathbb{Q} prime "
    ).split(), strict=True,
))  # fmt: skip
_FUNCTIONS = frozenset(
    (
        "sin cos tan cot sec csc log ln lg exp lim max min sup inf det gcd arcsin arccos arctan sinh cosh tanh dim ker deg arg Pr "
    ).split()
)
_ACCENTS = dict(zip("¯‾^ˆ~˜→⃗˙¨_", "bar overline hat hat tilde tilde vec vec dot ddot underline".split(), strict=True))
_UNSEEN = re.compile("[\u2061-\u2064\u200b-\u200f\ufeff]")


@dataclass
class _Node:
    name: str
    attributes: dict[str, str]
    children: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    base: str = ""  # of the last child, before it was written
    kinds: list[str] = field(default_factory=list)


class _UnknownError(ValueError):
    """Something that is no formula of the usual elements."""


def with_tex(page: bytes) -> bytes:
    """The page in which each <math> without TeX of its own has it as `alttext`; what cannot be converted is gone."""
    return _MATH.sub(_written, page)


def _written(match: re.Match[bytes]) -> bytes:
    attributes, inside = match[1], match[2]
    if b"alttext" in attributes or re.search(rb"<annotation[^<>]*tex", inside, re.IGNORECASE):
        return match[0]
    try:
        found = tex(inside.decode("utf-8"))
    except UnicodeDecodeError:
        found = None
    if not found:
        return b""
    shown = b' display="block"' if re.search(rb"display\s*=\s*[\"']?block", attributes) else b""
    said = html.escape(found, quote=True).encode("ascii", "xmlcharrefreplace")
    return b'<math alttext="' + said + b'"' + shown + b"></math>"


def tex(inside: str) -> str | None:
    """The TeX of what stands in a <math> element, or None."""
    stack = [_Node("math", {})]
    skipped = 0
    try:
        for match in _TOKEN.finditer(inside):
            end, name, attributes, whole, text = match.groups()
            name = (name or "").lower()
            if text is not None:
                if not skipped:
                    stack[-1].text.append(text)
                continue
            if not name:
                continue
            if name.startswith("annotation") or skipped:
                skipped += (not end and not whole) - bool(end)
                continue
            if name not in _KNOWN:
                return None
            if not end:
                if len(stack) > _DEEPEST:
                    return None
                stack.append(_Node(name, {k: a or b for k, a, b in _ATTRIBUTE.findall(attributes or "")}))
            if end or whole:
                if len(stack) < 2 or stack[-1].name != name:
                    return None
                node = stack.pop()
                stack[-1].children.append(_form(node))
                stack[-1].kinds.append(node.name)
        if len(stack) != 1:
            return None
        return re.sub(r" {2,}", " ", _joined(stack[0].children)).strip() or None
    except _UnknownError:
        return None


def _joined(parts: list[str]) -> str:
    """Parts of a row; a blank where a macro would run into a letter."""
    out = ""
    pieces: list[str] = []
    for part in parts:
        if pieces and part and re.search(r"\\[A-Za-z]+$", out) and part[0].isalpha():
            pieces.append(" ")
        if part:
            pieces.append(part)
            out = part[-24:]
    return "".join(pieces)


def _group(text: str) -> str:
    """An argument: one character as it is, anything longer in braces."""
    return text if len(text) == 1 else "{" + text + "}"


def _base(text: str) -> str:
    """What carries an index: a character, a number or a macro as it is."""
    return text if re.fullmatch(r".|\d+(?:\.\d+)?|\\[A-Za-z]+|\\[a-z]+\{[^{}]*\}|\([^()]*\)|", text) else "{" + text + "}"


def _leaf(node: _Node) -> str:
    text = _UNSEEN.sub("", html.unescape("".join(node.text))).strip()
    if node.children:
        raise _UnknownError
    if node.name in ("mtext", "ms"):
        return rf"\text{{{text}}}" if text else ""
    if text in _FUNCTIONS:
        return rf"\{text} " if node.name == "mi" else rf"\{text}"
    if len(text) > 1 and node.name == "mi" and text.isalpha() and text.isascii():
        return rf"\mathrm{{{text}}}"
    out = ""
    for char in text:
        if char in _GREEK:
            out += rf"\{_GREEK[char]}"
        elif char in _SIGNS:
            out += "-" if char == "−" else rf"\{_SIGNS[char]}"
        elif char in "{}%#&$_":
            out += rf"\{char}"
        else:
            out += char
    return out if not (node.name == "mo" and text in ("=", "<", ">", "≤", "≥", "≠", "≈", "→", "+", "-", "−")) else f" {out} "


def _form(node: _Node) -> str:
    name, parts = node.name, node.children
    if name in _LEAVES:
        return _leaf(node)
    if "".join(node.text).strip():
        raise _UnknownError
    if name in _ARITY and len(parts) != _ARITY[name]:
        raise _UnknownError
    if name in _ROWS:
        return _joined(parts)
    if name in ("mspace", "none", "mphantom"):
        return " " if name == "mspace" else ""
    if name == "msqrt":
        return rf"\sqrt{{{_joined(parts).strip()}}}"
    if name == "mfenced":
        return (
            node.attributes.get("open", "(")
            + node.attributes.get("separators", ",")[:1].join(parts)
            + node.attributes.get("close", ")")
        )
    if name == "mtable":
        return r"\begin{matrix} " + r" \\ ".join(parts) + r" \end{matrix}"
    if name in ("mtr", "mlabeledtr"):
        return " & ".join(part.strip() for part in parts)
    parts = [part.strip() for part in parts]
    if name == "mfrac":
        return rf"\frac{{{parts[0]}}}{{{parts[1]}}}"
    if name == "mroot":
        return rf"\sqrt[{parts[1]}]{{{parts[0]}}}"
    if name == "mover" and parts[1] in _ACCENTS:
        return rf"\{_ACCENTS[parts[1]]}{{{parts[0]}}}"
    if name == "mover" and parts[1] in (r"\to", r"\rightarrow"):
        return rf"\vec{{{parts[0]}}}"
    below = {"msub": 1, "msubsup": 1, "munder": 1, "munderover": 1}.get(name)
    above = {"msup": 1, "msubsup": 2, "mover": 1, "munderover": 2}.get(name)
    if below is None and above is None:
        raise _UnknownError
    prime = above is not None and re.fullmatch(r"(?:\\prime|')+", parts[above]) is not None
    sub = f"_{_group(parts[below])}" if below is not None and parts[below] else ""
    sup = f"^{_group(parts[above])}" if above is not None and parts[above] else ""
    if prime and above is not None:
        sup = "'" * (parts[above].count("prime") + parts[above].count("'"))
    return _base(parts[0]) + sub + sup
