// The text editor: CodeMirror with YAML and a few small languages, dressed in the page's own colours. It shows text and
// problems and reports changes; what the text means is decided elsewhere.
//
// It lives in a shadow root, because there CodeMirror adds its style sheets as objects, which a strict content security
// policy allows, and not as <style> elements, which it forbids.
import { autocompletion, closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import {
  HighlightStyle, StreamLanguage, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting,
} from "@codemirror/language";
import { dockerFile } from "@codemirror/legacy-modes/mode/dockerfile";
import { nginx } from "@codemirror/legacy-modes/mode/nginx";
import { properties } from "@codemirror/legacy-modes/mode/properties";
import { python } from "@codemirror/legacy-modes/mode/python";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension, RangeSetBuilder, StateEffect, StateField, Transaction } from "@codemirror/state";
import {
  Decoration, type DecorationSet, EditorView, WidgetType, drawSelection, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers,
} from "@codemirror/view";
import { tags as t } from "@lezer/highlight";

type Problem = { line: number; column: number; end_line: number; end_column: number; severity: "error" | "warning" | "note"; message: string; hint: string | null };
type Options = { text: string; path: string; label: string; readOnly: boolean; changed: (text: string) => void };

const dress = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "var(--sunken)", fontSize: "12.5px", height: "100%" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.65" },
  ".cm-content": { caretColor: "var(--brass)", padding: "12px 0" },
  ".cm-cursor": { borderLeftColor: "var(--brass)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--ink-3)", border: "none", paddingLeft: "4px" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--brass-wash) 55%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "transparent", color: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--wait) 22%, transparent)" },
  ".cm-selectionMatch": { backgroundColor: "color-mix(in srgb, var(--brass) 18%, transparent)" },
  ".cm-matchingBracket": { outline: "1px solid var(--line-strong)", backgroundColor: "transparent !important" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--line)", border: "none", color: "var(--ink-2)", padding: "0 6px" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "6px", boxShadow: "var(--shadow)", fontFamily: "var(--sans)", fontSize: "13px", maxWidth: "min(480px, 90vw)" },
  ".cm-diagnostic": { padding: "8px 12px", marginLeft: "0", borderLeft: "3px solid var(--bad)", whiteSpace: "pre-wrap" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".cm-diagnostic-info": { borderLeftColor: "var(--wait)" },
  // No margin above or below: the editor measures a block without it, and the line numbers after it would stand beside others.
  ".cm-hint": { maxWidth: "min(100%, 84ch, 100vw - 112px)", margin: "0 12px 0 4px", padding: "5px 12px", borderLeft: "3px solid var(--bad)", backgroundColor: "var(--bad-wash)", color: "var(--ink-2)", fontFamily: "var(--sans)", fontSize: "12.5px", lineHeight: "1.5", whiteSpace: "normal" },
  ".cm-hint b": { fontWeight: "500", color: "var(--ink)" },
  ".cm-hint-warning": { borderLeftColor: "var(--warn)", backgroundColor: "var(--warn-wash)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad) 1px", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--warn) 1px", textUnderlineOffset: "3px" },
  ".cm-lintRange-info": { backgroundImage: "none", textDecoration: "underline dotted var(--wait) 1px", textUnderlineOffset: "3px" },
  ".cm-lint-marker": { width: "8px", height: "8px", margin: "4px 3px 0 3px", boxSizing: "border-box", borderRadius: "1px", content: "none", backgroundColor: "var(--bad)" },
  ".cm-lint-marker-warning": { backgroundColor: "var(--warn)", transform: "rotate(45deg)" },
  ".cm-lint-marker-info": { backgroundColor: "transparent", border: "2px solid var(--wait)", borderRadius: "50%" },
  ".cm-panels": { backgroundColor: "var(--sheet)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-panels-bottom": { borderTop: "1px solid var(--line)" },
  ".cm-panel.cm-search": { padding: "8px 12px", fontFamily: "var(--sans)" },
  ".cm-panel.cm-search [name=close]": { color: "var(--ink-2)", fontSize: "16px", padding: "0 8px" },
  ".cm-textfield": { backgroundColor: "var(--paper)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "4px", padding: "3px 6px" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--sheet)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "4px", padding: "3px 8px" },
  ".cm-searchMatch": { backgroundColor: "color-mix(in srgb, var(--warn) 30%, transparent)" },
});

const ink = HighlightStyle.define([
  { tag: [t.comment, t.meta], color: "var(--ink-3)" },
  { tag: [t.definition(t.propertyName), t.propertyName, t.keyword, t.typeName], color: "var(--wait)" },
  { tag: [t.string, t.content, t.attributeValue], color: "var(--ok)" },
  { tag: [t.number, t.bool, t.null, t.atom], color: "var(--warn)" },
  { tag: [t.labelName, t.variableName, t.special(t.string)], color: "var(--brass)" },
  { tag: [t.separator, t.punctuation, t.operator], color: "var(--ink-2)" },
  { tag: t.invalid, color: "var(--bad)" },
]);

/// What is wrong, in words, under the line that is at fault.
class Hint extends WidgetType {
  constructor(readonly problem: Problem) {
    super();
  }
  eq(other: Hint) {
    return other.problem.message === this.problem.message && other.problem.hint === this.problem.hint && other.problem.column === this.problem.column;
  }
  toDOM() {
    const box = document.createElement("div");
    box.className = `cm-hint cm-hint-${this.problem.severity}`;
    const message = box.appendChild(document.createElement("b"));
    message.textContent = this.problem.message;
    if (this.problem.hint) box.append(` ${this.problem.hint}`);
    return box;
  }
  ignoreEvent() {
    return false;
  }
}

const showHints = StateEffect.define<Problem[]>();

function hints(state: EditorState, problems: Problem[]): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  // Errors and warnings; what is only worth knowing stands in the list below the editor.
  const shown = problems.filter((problem) => problem.severity !== "note").sort((a, b) => a.line - b.line);
  for (const problem of shown) {
    const line = state.doc.line(Math.min(Math.max(problem.line, 1), state.doc.lines));
    builder.add(line.to, line.to, Decoration.widget({ widget: new Hint(problem), block: true, side: 1 }));
  }
  return builder.finish();
}

const hintField = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(set, transaction) {
    const told = transaction.effects.find((effect) => effect.is(showHints));
    return told ? hints(transaction.state, told.value) : set.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

function language(path: string): Extension {
  const name = path.split("/").pop() ?? "";
  if (/\.ya?ml$/.test(name)) return yaml();
  if (/^(Dockerfile|Containerfile)/.test(name)) return StreamLanguage.define(dockerFile);
  if (/nginx.*\.conf$|\.conf\.template$/.test(name)) return StreamLanguage.define(nginx);
  if (/\.(sh|bash)$/.test(name)) return StreamLanguage.define(shell);
  if (/\.py$/.test(name)) return StreamLanguage.define(python);
  if (/^\.env|\.env$|\.(ini|cfg|conf|properties|toml)$/.test(name)) return StreamLanguage.define(properties);
  return [];
}

function place(state: EditorState, line: number, column: number): number {
  const found = state.doc.line(Math.min(Math.max(line, 1), state.doc.lines));
  // Columns count characters, positions count UTF-16 units.
  const before = [...found.text].slice(0, Math.max(column - 1, 0)).join("").length;
  return Math.min(found.from + before, found.to);
}

function diagnostic(state: EditorState, problem: Problem): Diagnostic {
  const from = place(state, problem.line, problem.column);
  const to = Math.max(place(state, problem.end_line, problem.end_column), from);
  const severity = problem.severity === "error" ? "error" : problem.severity === "warning" ? "warning" : "info";
  return { from, to, severity, message: problem.hint ? `${problem.message}\n${problem.hint}` : problem.message };
}

export function open(host: HTMLElement, options: Options) {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const tongue = new Compartment();
  const readOnly = new Compartment();
  let quiet = false;
  const attributes = (label: string) => EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" });
  const name = new Compartment();
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        lineNumbers(), highlightActiveLineGutter(), highlightSpecialChars(), history(), foldGutter(), drawSelection(),
        indentOnInput(), bracketMatching(), closeBrackets(), autocompletion({ activateOnTyping: false }), highlightActiveLine(),
        highlightSelectionMatches(), search(), lintGutter(), hintField, indentUnit.of("  "), dress, syntaxHighlighting(ink),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, indentWithTab]),
        tongue.of(language(options.path)), readOnly.of(EditorState.readOnly.of(options.readOnly)), name.of(attributes(options.label)),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !quiet) options.changed(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    /// Shows another file, with a history of its own.
    show(text: string, path: string, label: string, locked: boolean) {
      quiet = true;
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: text },
        effects: [
          tongue.reconfigure(language(path)), readOnly.reconfigure(EditorState.readOnly.of(locked)), name.reconfigure(attributes(label)),
        ],
        annotations: Transaction.addToHistory.of(false),
        selection: { anchor: 0 },
        scrollIntoView: true,
      });
      quiet = false;
    },
    problems(json: string) {
      const list = JSON.parse(json) as Problem[];
      view.dispatch(setDiagnostics(view.state, list.map((problem) => diagnostic(view.state, problem))));
      view.dispatch({ effects: showHints.of(list) });
    },
    goTo(line: number, column: number) {
      const at = place(view.state, line, column);
      view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
      view.focus();
    },
    close() {
      view.destroy();
    },
  };
}
