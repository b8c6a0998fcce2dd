"""The interface for plug-ins: types of tables, figures, methods, metrics, clips and profiles."""
