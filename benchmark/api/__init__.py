"""What a plug-in imports: types of tables, figures, methods, metrics, clips and profiles."""
